"""Make the golden files that the SLM workload is checked against.

One tiny model per decoder family, with random weights, run by Hugging Face
`transformers` on the CPU: an implementation that shares nothing with ours.
Nothing is downloaded. Run it with the versions in `requirements.txt`:

    python make_goldens.py            # writes beside this file

The same versions on the same machine give the same bytes. `README.md` beside
this file lists what each output holds.

Legend: B batch, T tokens, V vocabulary.
"""

import os

# Set before torch loads: one code path whatever the processor, so that another
# machine comes as close to the same bits as the libraries allow.
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ATEN_CPU_CAPABILITY"] = "default"

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent

BATCH = 2
PROMPT = 12
GENERATED = 8
# Ids below this are left to special tokens: OPT's padding id (1) is looked up
# without a gradient, which a plain embedding does not do.
FIRST_PLAIN_ID = 3
# A greedy choice closer than this could go the other way by rounding alone.
LEAST_MARGIN = 1e-2
# A continuation that repeats itself would hide a wrong position or a stale
# cache. This gain lets the layers outweigh the embedding in the residual
# stream, and each family's seed is one whose continuation has this many
# different ids.
GAIN = 1.5
LEAST_DIFFERENT = 7


@dataclass
class Family:
    """A tiny member of one family, and the weights whose training is shown."""

    name: str
    # None: the first whose continuation is good enough.
    seed: int | None
    config: transformers.PretrainedConfig
    model: type
    shown: list[str]
    # RecurrentGemma keeps its state in the model, not in a cache.
    has_cache: bool = True
    # Where a norm on the embedding or behind the branches undoes GAIN, the
    # embedding is made small instead, or the gain larger.
    gain: float = GAIN
    embedding: float = 0.5


FAMILIES = [
    Family(
        name="llama",
        seed=18,
        config=transformers.LlamaConfig(
            vocab_size=272,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            rms_norm_eps=1e-5,
            rope_theta=10000.0,
            tie_word_embeddings=True,
        ),
        model=transformers.LlamaForCausalLM,
        shown=[
            "model.embed_tokens.weight",
            "model.layers.0.self_attn.q_proj.weight",
            "model.layers.0.mlp.gate_proj.weight",
            "model.layers.0.input_layernorm.weight",
        ],
    ),
    Family(
        name="qwen2",
        seed=53,
        config=transformers.Qwen2Config(
            vocab_size=260,
            hidden_size=40,
            intermediate_size=72,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            rms_norm_eps=1e-6,
            rope_theta=1000000.0,
            tie_word_embeddings=True,
        ),
        model=transformers.Qwen2ForCausalLM,
        shown=[
            "model.embed_tokens.weight",
            "model.layers.0.self_attn.k_proj.weight",
            "model.layers.0.self_attn.q_proj.bias",
            "model.layers.0.mlp.down_proj.weight",
            "model.layers.0.post_attention_layernorm.weight",
        ],
    ),
    Family(
        name="gpt_neox",
        seed=51,
        # Two heads of 16: a quarter of 16 is 4 rotated dimensions, so two
        # frequencies are tested instead of one.
        config=transformers.GPTNeoXConfig(
            vocab_size=256,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            rotary_pct=0.25,
            rotary_emb_base=10000,
            hidden_act="gelu",
            use_parallel_residual=True,
            attention_bias=True,
            layer_norm_eps=1e-5,
            tie_word_embeddings=False,
        ),
        model=transformers.GPTNeoXForCausalLM,
        # Not `query_key_value.bias`: softmax does not see a shift of all keys,
        # so part of its gradient is rounding noise, and Adam's first step turns
        # noise into full-sized steps.
        shown=[
            "gpt_neox.embed_in.weight",
            "gpt_neox.layers.0.attention.query_key_value.weight",
            "gpt_neox.layers.0.attention.dense.bias",
            "gpt_neox.layers.0.mlp.dense_h_to_4h.weight",
            "gpt_neox.layers.0.input_layernorm.weight",
        ],
    ),
    Family(
        name="opt",
        seed=2,
        config=transformers.OPTConfig(
            vocab_size=264,
            hidden_size=32,
            word_embed_proj_dim=32,
            ffn_dim=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            do_layer_norm_before=True,
            activation_function="relu",
            dropout=0.0,
            tie_word_embeddings=True,
        ),
        model=transformers.OPTForCausalLM,
        shown=[
            "model.decoder.embed_tokens.weight",
            "model.decoder.embed_positions.weight",
            "model.decoder.layers.0.self_attn.q_proj.weight",
            "model.decoder.layers.0.self_attn.q_proj.bias",
            "model.decoder.layers.0.fc1.weight",
            "model.decoder.layers.0.self_attn_layer_norm.weight",
        ],
    ),
]


def sizes(**others):
    """Sizes that most of the families below share."""
    return {
        "vocab_size": 256,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    } | others


def like_llama(name, seed, config, model, **others):
    """A family whose weights are named like LLaMA's."""
    layer = "model.layers.0"
    shown = [
        "model.embed_tokens.weight",
        f"{layer}.self_attn.q_proj.weight",
        f"{layer}.mlp.down_proj.weight",
    ]
    return Family(name, seed, config, model, shown, **others)


FAMILIES += [
    Family(
        name="bloom",
        seed=0,
        config=transformers.BloomConfig(
            vocab_size=256,
            hidden_size=32,
            n_layer=2,
            n_head=4,
            seq_length=64,
            hidden_dropout=0.0,
            attention_dropout=0.0,
        ),
        model=transformers.BloomForCausalLM,
        gain=6.0,
        shown=[
            "transformer.word_embeddings.weight",
            "transformer.word_embeddings_layernorm.weight",
            "transformer.h.0.self_attention.query_key_value.weight",
            "transformer.h.0.mlp.dense_4h_to_h.weight",
        ],
    ),
    Family(
        name="gpt2",
        seed=130,
        config=transformers.GPT2Config(
            vocab_size=256,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=64,
            n_inner=96,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        ),
        model=transformers.GPT2LMHeadModel,
        shown=[
            "transformer.wte.weight",
            "transformer.wpe.weight",
            "transformer.h.0.attn.c_attn.weight",
            "transformer.h.0.mlp.c_fc.weight",
        ],
    ),
    Family(
        name="phi",
        seed=1,
        config=transformers.PhiConfig(
            **sizes(num_attention_heads=2, partial_rotary_factor=0.5)
        ),
        model=transformers.PhiForCausalLM,
        shown=[
            "model.embed_tokens.weight",
            "model.layers.0.self_attn.dense.weight",
            "model.layers.0.mlp.fc1.weight",
            "lm_head.bias",
        ],
    ),
    Family(
        name="phi3",
        seed=1,
        config=transformers.Phi3Config(
            **sizes(sliding_window=None, pad_token_id=0)
        ),
        model=transformers.Phi3ForCausalLM,
        shown=[
            "model.embed_tokens.weight",
            "model.layers.0.self_attn.qkv_proj.weight",
            "model.layers.0.mlp.gate_up_proj.weight",
        ],
    ),
    like_llama(
        "stablelm",
        1,
        transformers.StableLmConfig(
            **sizes(
                num_attention_heads=2,
                num_key_value_heads=2,
                partial_rotary_factor=0.25,
                use_qkv_bias=True,
            )
        ),
        transformers.StableLmForCausalLM,
    ),
    like_llama(
        "gemma",
        1,
        transformers.GemmaConfig(**sizes(num_key_value_heads=1, head_dim=16)),
        transformers.GemmaForCausalLM,
    ),
    like_llama(
        "gemma2",
        1,
        transformers.Gemma2Config(
            **sizes(
                num_key_value_heads=2,
                head_dim=16,
                query_pre_attn_scalar=24,
                sliding_window=8,
                attn_logit_softcapping=5.0,
                final_logit_softcapping=10.0,
            )
        ),
        transformers.Gemma2ForCausalLM,
        embedding=0.05,
    ),
    Family(
        name="recurrent_gemma",
        seed=0,
        config=transformers.RecurrentGemmaConfig(
            vocab_size=256,
            hidden_size=32,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=1,
            head_dim=8,
            lru_width=32,
            attention_window_size=8,
        ),
        model=transformers.RecurrentGemmaForCausalLM,
        shown=[
            "model.embed_tokens.weight",
            "model.layers.0.temporal_block.linear_x.weight",
            "model.layers.0.temporal_block.rg_lru.recurrent_param",
            "model.layers.0.temporal_block.conv_1d.weight",
            "model.layers.2.temporal_block.q_proj.weight",
        ],
        has_cache=False,
    ),
    like_llama(
        "olmo",
        1,
        transformers.OlmoConfig(**sizes(tie_word_embeddings=True)),
        transformers.OlmoForCausalLM,
    ),
    like_llama(
        "nemotron",
        0,
        transformers.NemotronConfig(
            **sizes(
                num_key_value_heads=2,
                head_dim=8,
                partial_rotary_factor=0.5,
            )
        ),
        transformers.NemotronForCausalLM,
    ),
]


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False
    transformers.logging.set_verbosity_error()
    for family in FAMILIES:
        make(family)


def make(family):
    if family.seed is not None:
        make_with(family, family.seed)
        return
    for seed in range(200):
        try:
            make_with(family, seed)
            return
        except AssertionError:
            continue
    raise SystemExit(f"{family.name}: no seed gives a good continuation")


def make_with(family, seed):
    rng = torch.Generator().manual_seed(seed)
    family.config.architectures = [family.model.__name__]
    family.config._attn_implementation = "eager"
    model = family.model(family.config).float().eval()
    randomise(model, rng, family)

    stem = HERE / f"{family.name}-tiny"
    tokens = torch.randint(
        FIRST_PLAIN_ID,
        family.config.vocab_size,
        (BATCH, PROMPT),
        generator=rng,
    )
    golden = {"input.tokens": tokens}
    # In this order: training changes the weights, so it comes last, and a seed
    # that is not good enough fails before anything is written.
    golden["output.generated"] = generate(model, tokens[:1], family.has_cache)
    family.config.to_json_file(f"{stem}.config.json", use_diff=False)
    save_weights(model, f"{stem}.weights.safetensors")
    if family.name == "llama":
        golden["output.logits_bf16_weights"] = bf16_variant(
            family, model, tokens[:1], f"{stem}.bf16.weights.safetensors"
        )
    golden |= train(model, tokens, family.shown)
    save_file(golden, f"{stem}.golden.safetensors")
    os.chmod(f"{stem}.golden.safetensors", 0o644)  # the library writes 0600
    print(
        f"{family.name}: seed {seed}, loss {golden['output.loss'].item():.6f}"
    )


@torch.no_grad()
def randomise(model, rng, family):
    """Fill every parameter so that none can be left out unseen.

    Norm weights scatter around one and biases around zero; matrices multiply
    the spread of what passes through them by the family's gain.
    """
    norms = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower()
    }
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=rng)
        if name in norms:
            weight.copy_(1.0 + 0.2 * noise)
        elif name.endswith("bias"):
            weight.copy_(0.2 * noise)
        elif weight.dim() == 1:
            weight.copy_(0.5 * noise)
        elif "embed" in name:
            weight.copy_(family.embedding * noise)
        else:
            weight.copy_(family.gain * noise / weight.shape[1] ** 0.5)


def save_weights(model, path):
    """Write what `save_pretrained` publishes: its names, tied head left out."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shutil.move(Path(folder) / "model.safetensors", path)
    os.chmod(path, 0o644)


@torch.no_grad()
def generate(model, tokens, has_cache):
    """Greedy continuation, with and without a key-value cache: they agree."""
    whole = tokens
    for _ in range(GENERATED):
        logits = model(whole, use_cache=False).logits[:, -1]  # [1, V]
        best = logits.topk(2).values[0]
        assert best[0] - best[1] > LEAST_MARGIN, "greedy choice too close"
        whole = torch.cat([whole, logits.argmax(-1, keepdim=True)], 1)

    cached, cache, step = tokens, None, tokens
    for _ in range(GENERATED if has_cache else 0):
        out = model(step, past_key_values=cache, use_cache=True)
        cache, step = out.past_key_values, out.logits[:, -1:].argmax(-1)
        cached = torch.cat([cached, step], 1)
    assert not has_cache or torch.equal(whole, cached)
    made = whole[:, tokens.shape[1] :].clone()  # [1, 8]
    assert made.unique().numel() >= LEAST_DIFFERENT, "continuation repeats"
    return made


@torch.no_grad()
def bf16_variant(family, model, tokens, path):
    """The weights rounded to bf16, and what they give in f32 arithmetic."""
    half = family.model(family.config).bfloat16().eval()
    half.load_state_dict(model.state_dict())
    save_weights(half, path)
    rounded = family.model(family.config).float().eval()
    rounded.load_state_dict(load_file(path), strict=False)
    rounded.tie_weights()
    return rounded(tokens, use_cache=False).logits  # [1, T, V]


def train(model, tokens, shown):
    """Logits, loss, gradients, and the weights after one AdamW step."""
    logits = model(tokens, use_cache=False).logits  # [B, T, V]
    loss = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
    )
    with torch.no_grad():
        theirs = model(tokens, labels=tokens, use_cache=False).loss
    torch.testing.assert_close(loss, theirs)

    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=1e-3,
        betas=(0.9, 0.95),
        eps=1e-8,
        weight_decay=0.1,
        foreach=False,
    )
    loss.backward()
    weights = dict(model.named_parameters())
    made = {
        "output.logits": logits.detach().clone(),
        "output.loss": loss.detach().reshape(1).clone(),
    }
    for name in shown:
        made[f"output.grad.{name}"] = weights[name].grad.clone()
    optimiser.step()
    for name in shown:
        made[f"output.updated.{name}"] = weights[name].detach().clone()
    return made


if __name__ == "__main__":
    main()
