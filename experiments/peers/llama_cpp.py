"""Times llama.cpp, as the npm package node-llama-cpp ships its library, on one GGUF file.

usage: llama_cpp.py LIBRARIES MODEL.gguf THREADS BATCH...     prints {batch: tokens per second}
       llama_cpp.py LIBRARIES --quantise MODEL.gguf OUT.gguf TYPE

Batches as in AttnLab: q512 feeds 512 tokens to an empty cache, q1s8k one token where 8,192 are held (up to 128 more
in the course of a timing). The library is called
through its C interface; parameters start from its own defaults, and those that are changed are found by their places in
the version that README.md names.
"""
import ctypes
import glob
import json
import pathlib
import re
import sys
import time

STEPS = 32  # decode steps of a timing
REPEATS = 3  # timings, of which the median counts
MOST_TOKENS = 512  # of one call
BATCHES_AT, THREADS_AT = (1, 2), (7, 8)  # places of n_batch and n_ubatch, n_threads and n_threads_batch
FILE_TYPES = {"q4_0": 2, "q8_0": 7, "bf16": 32}  # of llama.cpp, and its types of tensors:
TENSOR_TYPES = {"q4_0": 2, "q8_0": 8, "bf16": 30}


class Parameters(ctypes.Structure):
    _fields_ = [("words", ctypes.c_int32 * 256)]  # more than any of the structures has


class Batch(ctypes.Structure):
    _fields_ = [("tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("position", ctypes.POINTER(ctypes.c_int32)), ("sequences", ctypes.POINTER(ctypes.c_int32)),
                ("sequence", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
                ("logits", ctypes.POINTER(ctypes.c_int8))]


def load(folder):
    def one(pattern):
        found = sorted(glob.glob(str(folder / pattern)))
        if not found:
            sys.exit(f"{folder}: no {pattern}; see experiments/peers/README.md")
        return ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)

    one("libggml-base.so*")
    ggml = one("libggml.*so*")
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    library = one("libllama.*so*")
    for name in ("llama_model_default_params", "llama_context_default_params", "llama_model_quantize_default_params"):
        getattr(library, name).restype = Parameters
    library.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Parameters]
    library.llama_init_from_model.argtypes = [ctypes.c_void_p, Parameters]
    library.llama_free.argtypes = [ctypes.c_void_p]
    for name in ("llama_model_load_from_file", "llama_init_from_model"):
        getattr(library, name).restype = ctypes.c_void_p
    library.llama_decode.argtypes = [ctypes.c_void_p, Batch]
    library.llama_batch_init.argtypes = [ctypes.c_int32] * 3
    library.llama_batch_init.restype = Batch
    library.llama_log_set(SILENT, None)
    library.llama_backend_init()
    return library


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def SILENT(level, line, _):
    pass


class Context:
    """One sequence. Its rows are held in f16, as llama.cpp does where nothing else is said."""

    def __init__(self, library, model, threads, tokens):
        parameters = library.llama_context_default_params()
        parameters.words[0] = -(-(tokens + 64) // 256) * 256  # n_ctx
        if [parameters.words[at] for at in (*THREADS_AT, *BATCHES_AT)] != [4, 4, 2048, 512]:  # its own defaults
            sys.exit("this llama.cpp has its parameters at other places: install the version that README.md names")
        for at in THREADS_AT:
            parameters.words[at] = threads
        for at in BATCHES_AT:
            parameters.words[at] = MOST_TOKENS
        self.library = library
        self.context = library.llama_init_from_model(model, parameters)
        if not self.context:
            sys.exit("llama.cpp made no context")
        self.batch = library.llama_batch_init(MOST_TOKENS, 0, 1)
        self.length = 0

    def feed(self, tokens):
        """Logits of the last one alone."""
        for first in range(0, tokens, MOST_TOKENS):
            count = self.batch.tokens = min(MOST_TOKENS, tokens - first)
            for i in range(count):
                self.batch.token[i] = 300 + (self.length * 7919) % 20000
                self.batch.position[i] = self.length
                self.batch.sequences[i] = 1
                self.batch.sequence[i][0] = 0
                self.batch.logits[i] = first + i + 1 == tokens
                self.length += 1
            if self.library.llama_decode(self.context, self.batch) != 0:
                sys.exit("llama.cpp refused a batch")

    def close(self):
        self.library.llama_free(self.context)


def count_of(written):
    return int(written[:-1]) * 1024 if written.endswith("k") else int(written)


def tokens_per_second(library, model, threads, batch):
    new, held = re.fullmatch(r"q(\d+k?)(?:s(\d+k?))?", batch).groups()
    new, held = count_of(new), count_of(held or "0")
    times = []
    if held == 0:
        for repeat in range(REPEATS + 1):  # the first warms up
            context = Context(library, model, threads, new)
            start = time.perf_counter()
            context.feed(new)
            times.append((time.perf_counter() - start) / new)
            context.close()
        return 1 / sorted(times[1:])[REPEATS // 2]
    if new != 1:
        sys.exit(f"{batch}: of steps after held tokens only those of one token are timed")
    context = Context(library, model, threads, held + (REPEATS + 1) * STEPS)
    context.feed(held)
    for repeat in range(REPEATS + 1):
        start = time.perf_counter()
        for _ in range(STEPS):
            context.feed(1)
        times.append((time.perf_counter() - start) / STEPS)
    context.close()
    return 1 / sorted(times[1:])[REPEATS // 2]


def quantise(library, source, to, file_type):
    parameters = library.llama_model_quantize_default_params()
    parameters.words[0] = 1  # threads
    parameters.words[1] = FILE_TYPES[file_type]
    parameters.words[2] = parameters.words[3] = TENSOR_TYPES[file_type]  # output and embedding too, as AttnLab has them
    if library.llama_model_quantize(source.encode(), to.encode(), ctypes.byref(parameters)) != 0:
        sys.exit(f"llama.cpp did not make {to}")


def main():
    library = load(pathlib.Path(sys.argv[1]))
    if sys.argv[2] == "--quantise":
        return quantise(library, *sys.argv[3:6])
    model = library.llama_model_load_from_file(sys.argv[2].encode(), library.llama_model_default_params())
    if not model:
        sys.exit(f"{sys.argv[2]}: llama.cpp does not load it")
    print(json.dumps({batch: tokens_per_second(library, model, int(sys.argv[3]), batch) for batch in sys.argv[4:]}))


if __name__ == "__main__":
    main()
