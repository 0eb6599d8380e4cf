"""A GGUF file of the shape of a model YAML, with random f32 weights: what a peer is timed on.

One block of random numbers is repeated, since values change nothing about speed as long as they are usual numbers.
"""
import random
import struct

U32, F32, STRING = 4, 6, 8
ALIGNMENT = 32
REPEATED = 1 << 16  # floats


def tensors(model):
    """Names and shapes [out, in] in llama.cpp's names."""
    hidden, heads = model["hidden_size"], model["num_attention_heads"]
    kv_width = hidden // heads * model["num_key_value_heads"]
    inner, vocab = model["intermediate_size"], model["vocab_size"]
    yield "token_embd.weight", (vocab, hidden)
    yield "output_norm.weight", (hidden,)
    if not model["tie_word_embeddings"]:
        yield "output.weight", (vocab, hidden)
    for layer in range(model["num_hidden_layers"]):
        for name, shape in (("attn_norm", (hidden,)), ("attn_q", (hidden, hidden)), ("attn_k", (kv_width, hidden)),
                            ("attn_v", (kv_width, hidden)), ("attn_output", (hidden, hidden)),
                            ("ffn_norm", (hidden,)), ("ffn_gate", (inner, hidden)), ("ffn_up", (inner, hidden)),
                            ("ffn_down", (hidden, inner))):
            yield f"blk.{layer}.{name}.weight", shape


def metadata(model):
    head_dim = model["hidden_size"] // model["num_attention_heads"]
    return (("general.architecture", STRING, "llama"), ("general.file_type", U32, 0),
            ("llama.block_count", U32, model["num_hidden_layers"]),
            ("llama.context_length", U32, model["max_position_embeddings"]),
            ("llama.embedding_length", U32, model["hidden_size"]),
            ("llama.feed_forward_length", U32, model["intermediate_size"]),
            ("llama.attention.head_count", U32, model["num_attention_heads"]),
            ("llama.attention.head_count_kv", U32, model["num_key_value_heads"]),
            ("llama.attention.layer_norm_rms_epsilon", F32, float(model["rms_norm_eps"])),
            ("llama.rope.dimension_count", U32, head_dim), ("llama.rope.freq_base", F32, float(model["rope_theta"])),
            ("llama.vocab_size", U32, model["vocab_size"]), ("tokenizer.ggml.model", STRING, "no_vocab"))


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(model):
    entries, shapes = metadata(model), list(tensors(model))
    data = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(entries))
    for key, kind, value in entries:
        data += text(key) + struct.pack("<I", kind)
        data += text(value) if kind == STRING else struct.pack("<I" if kind == U32 else "<f", value)
    offset = 0
    for name, shape in shapes:
        data += text(name) + struct.pack("<I", len(shape))
        data += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", 0, offset)
        offset += padded(floats(shape) * 4)
    return data + bytes(padded(len(data)) - len(data))


def floats(shape):
    count = 1
    for extent in shape:
        count *= extent
    return count


def padded(count):
    return -(-count // ALIGNMENT) * ALIGNMENT


def write(model, path):
    draw = random.Random(1)
    block = struct.pack(f"<{REPEATED}f", *(draw.gauss(0, 0.02) for _ in range(REPEATED)))
    with open(path, "wb") as file:
        file.write(header(model))
        for name, shape in tensors(model):
            count = floats(shape) * 4
            data = struct.pack("<f", 1) * shape[0] if len(shape) == 1 else block
            for first in range(0, count, len(data)):
                file.write(data[:count - first])
            file.write(bytes(padded(count) - count))
