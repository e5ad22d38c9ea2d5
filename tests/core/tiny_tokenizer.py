"""A tokenizer of eight words, of transformers' own class."""

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("a", "photo", "of", "person", "sks", "<unk>", "<bos>", "<eos>")


def tiny_tokenizer(length):
    """Return the tokenizer of prompts of at most `length` tokens, both ends included."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 6), ("<eos>", 7)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>", model_max_length=length
    )
