"""Train the small byte-level BPE tokenizer of the SLM workload on `alice.txt`.

    python train_tokenizer.py         # writes tokenizer.json beside this file

The `tokenizers` version is the one in `../goldens/requirements.txt`; the file
is the Hugging Face `tokenizer.json` format, which the Rust crate of the same
name reads. The same version gives the same bytes. Every byte is in the
vocabulary, so any text encodes and decodes back to itself; checked here.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent
VOCABULARY = 2048
END_OF_TEXT = "<|endoftext|>"


def main():
    text = (HERE / "alice.txt").read_text(encoding="utf-8")
    tokenizer = train(text)
    tokenizer.save(str(HERE / "tokenizer.json"))
    report(Tokenizer.from_file(str(HERE / "tokenizer.json")), text)


def train(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def report(tokenizer, text):
    """Check the saved file, as a reader of it would meet it."""
    assert tokenizer.get_vocab_size() == VOCABULARY
    assert tokenizer.token_to_id(END_OF_TEXT) == 0
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == text
    foreign = "Zoë, naïve: 3.14 µs → 日本\t\r\n\n  end "
    assert tokenizer.decode(tokenizer.encode(foreign).ids) == foreign
    size = len(text.encode())
    print(f"{size} bytes, {len(ids)} tokens, {size / len(ids):.2f} bytes each")
    print("first ids:", ids[:16])


if __name__ == "__main__":
    main()
