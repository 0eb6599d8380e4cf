#include "model/checkpoints/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "model/checkpoints/safetensors_header.h"

namespace attnlab::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and tensors are used in place");

constexpr std::size_t kLengthBytes = 8;                 // the file begins with the header's length
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct DTypeRow {
  DType dtype;
  std::string_view name;
  int bits;
};
constexpr std::array kDTypes{
    DTypeRow{DType::boolean, "BOOL", 8},    DTypeRow{DType::u8, "U8", 8},
    DTypeRow{DType::i8, "I8", 8},           DTypeRow{DType::f8_e5m2, "F8_E5M2", 8},
    DTypeRow{DType::f8_e4m3, "F8_E4M3", 8}, DTypeRow{DType::f8_e8m0, "F8_E8M0", 8},
    DTypeRow{DType::f6_e2m3, "F6_E2M3", 6}, DTypeRow{DType::f6_e3m2, "F6_E3M2", 6},
    DTypeRow{DType::f4, "F4", 4},           DTypeRow{DType::i16, "I16", 16},
    DTypeRow{DType::u16, "U16", 16},        DTypeRow{DType::f16, "F16", 16},
    DTypeRow{DType::bf16, "BF16", 16},      DTypeRow{DType::i32, "I32", 32},
    DTypeRow{DType::u32, "U32", 32},        DTypeRow{DType::f32, "F32", 32},
    DTypeRow{DType::c64, "C64", 64},        DTypeRow{DType::f64, "F64", 64},
    DTypeRow{DType::i64, "I64", 64},        DTypeRow{DType::u64, "U64", 64},
};

const DTypeRow& row_of(DType dtype) noexcept {
  return *std::ranges::find(kDTypes, dtype, &DTypeRow::dtype);
}

}  // namespace

std::string_view dtype_name(DType dtype) noexcept {
  return row_of(dtype).name;
}

int dtype_bits(DType dtype) noexcept {
  return row_of(dtype).bits;
}

std::optional<DType> dtype_named(std::string_view name) noexcept {
  const auto row = std::ranges::find(kDTypes, name, &DTypeRow::name);
  if (row == kDTypes.end()) return std::nullopt;
  return row->dtype;
}

std::int64_t TensorInfo::elements() const noexcept {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  const std::string where = path.string();
  SafetensorsFile file(MappedFile::open(path, "safetensors"));
  const std::size_t file_bytes = file.file_.bytes().size();
  if (file_bytes < kLengthBytes) {
    throw Error(where, fmt::format("has {} bytes, too few for a safetensors file", file_bytes));
  }

  std::uint64_t header_bytes = 0;
  const std::byte* const data = file.file_.bytes().data();
  std::memcpy(&header_bytes, data, kLengthBytes);
  if (header_bytes > file_bytes - kLengthBytes) {
    throw Error(where,
                fmt::format("the header says it has {} bytes, which is longer than the file ({} bytes)", header_bytes,
                            file_bytes),
                "the file is cut off or is no safetensors file");
  }
  if (header_bytes > kMaxHeaderBytes) {
    throw Error(
        where, fmt::format("the header has {} bytes, more than the format allows ({})", header_bytes, kMaxHeaderBytes));
  }
  const std::string_view json(reinterpret_cast<const char*>(data) + kLengthBytes, header_bytes);
  const std::size_t data_start = kLengthBytes + header_bytes;
  SafetensorsHeader header = parse_safetensors_header(json, data_start, file_bytes - data_start, where);
  file.tensors_ = std::move(header.tensors);
  file.metadata_ = std::move(header.metadata);
  file.by_name_.resize(file.tensors_.size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), 0u);
  std::ranges::sort(file.by_name_, {}, [&](std::uint32_t i) -> const std::string& { return file.tensors_[i].name; });
  return file;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto name_of = [&](std::uint32_t i) -> std::string_view { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found != by_name_.end() && name_of(*found) == name ? &tensors_[*found] : nullptr;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const noexcept {
  ATTNLAB_DCHECK(tensor.offset + tensor.bytes <= file_.bytes().size(), "a tensor of another file");
  return file_.bytes().subspan(tensor.offset, tensor.bytes);
}

}  // namespace attnlab::model
