// libFuzzer on safetensors files: whatever the bytes are, they are read or refused by an Error, without a crash, a
// hang, or a look outside the file. See README.md.
#include <attnlab/error.h>

#include "fuzz/held_file.h"
#include "fuzz/tensors.h"
#include "model/checkpoints/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static attnlab::fuzz::HeldFile held(".safetensors");
  const auto& path = held.fill(data, size);
  try {
    const auto read = attnlab::model::SafetensorsFile::open(path);
    for (const attnlab::model::TensorInfo& tensor : read.tensors()) {
      try {
        attnlab::fuzz::read_ends({&read.file(), &tensor});
      } catch (const attnlab::Error&) {  // a type that is no weight
      }
    }
  } catch (const attnlab::Error&) {
  }
  return 0;
}
