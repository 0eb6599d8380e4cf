// libFuzzer on GGUF files: whatever the bytes are, they are read or refused by an Error, without a crash, a hang, or a
// look outside the file. See README.md.
#include <attnlab/error.h>

#include "fuzz/held_file.h"
#include "fuzz/tensors.h"
#include "model/checkpoints/gguf_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static attnlab::fuzz::HeldFile held(".gguf");
  const auto& path = held.fill(data, size);
  try {
    const attnlab::model::GgufFile read = attnlab::model::open_gguf(path);
    for (const attnlab::model::TensorInfo& tensor : read.tensors) {
      try {
        attnlab::fuzz::read_ends({&read.file, &tensor});
      } catch (const attnlab::Error&) {  // a type that is no weight
      }
    }
    (void)attnlab::model::Checkpoint::open(path).names();
  } catch (const attnlab::Error&) {
  }
  return 0;
}
