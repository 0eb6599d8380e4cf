#include "model/checkpoints/gguf_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "base/utf8.h"
#include "model/checkpoints/gguf_blocks.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and tensors are used in place");

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kSwappedVersion3 = 0x03000000;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMostAlignment = std::uint64_t{1} << 20;
constexpr std::uint32_t kMostDimensions = 4;
constexpr std::size_t kLeastTensorBytes = 8 + 4 + 4 + 8;  // of a description: a name, their number, a type, an offset
constexpr std::size_t kLeastKeyBytes = 8 + 4 + 1;
constexpr std::size_t kMostDescription = std::size_t{256} << 20;  // bytes before the data: more than any model has
constexpr std::string_view kOfTokenizer = "tokenizer.";
constexpr int kMostNesting = 4;  // of arrays in arrays, which do not come in practice

// Types of values of keys.
enum Value : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

struct TensorType {
  std::uint32_t number;
  std::string_view name;
  DType dtype;
  BlockType block = BlockType::none;
};
constexpr std::array kTensorTypes{TensorType{0, "F32", DType::f32},
                                  TensorType{1, "F16", DType::f16},
                                  TensorType{30, "BF16", DType::bf16},
                                  TensorType{8, "Q8_0", DType::f32, BlockType::q8_0},
                                  TensorType{2, "Q4_0", DType::f32, BlockType::q4_0},
                                  TensorType{12, "Q4_K", DType::f32, BlockType::q4_k},
                                  TensorType{14, "Q6_K", DType::f32, BlockType::q6_k}};

// Of types that are not read, for messages.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 26> kOtherTypes{
    {{3, "Q4_1"},   {6, "Q5_0"},     {7, "Q5_1"},    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {13, "Q5_K"},
     {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},
     {22, "IQ2_S"}, {23, "IQ4_XS"},  {24, "I8"},     {25, "I16"},     {26, "I32"},   {27, "I64"},    {28, "F64"},
     {29, "IQ1_M"}, {34, "TQ1_0"},   {35, "TQ2_0"},  {39, "MXFP4"},   {40, "NVFP4"}}};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string& what, const std::string& remedy = {}) const {
    throw Error(where_, what, remedy);
  }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  template <class Number>
  Number number(const std::string& of) {
    if (left() < sizeof(Number))
      refuse(fmt::format("ends inside {}", of), "the file is cut off, or describes more than any model has");
    Number value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::string string(const std::string& of) {
    const auto length = number<std::uint64_t>(of);
    if (length > left()) refuse(fmt::format("{} says that it has {} bytes, and {} are left", of, length, left()));
    std::string value(reinterpret_cast<const char*>(bytes_.data() + at_), length);
    at_ += length;
    if (first_invalid_utf8(value)) refuse(fmt::format("{} is no UTF-8", of));
    return value;
  }

  // Lists are read where they are `kept`, and else passed over; their value is then null.
  nlohmann::json value(std::uint32_t type, const std::string& of, bool is_kept, int depth = 0) {
    switch (type) {
      case Value::u8:
        return number<std::uint8_t>(of);
      case Value::i8:
        return number<std::int8_t>(of);
      case Value::u16:
        return number<std::uint16_t>(of);
      case Value::i16:
        return number<std::int16_t>(of);
      case Value::u32:
        return number<std::uint32_t>(of);
      case Value::i32:
        return number<std::int32_t>(of);
      case Value::f32:
        return number<float>(of);
      case Value::boolean: {
        const auto byte = number<std::uint8_t>(of);
        if (byte > 1) refuse(fmt::format("{}: {} is neither true (1) nor false (0)", of, byte));
        return byte == 1;
      }
      case Value::text:
        return string(of);
      case Value::array:
        return list(of, is_kept, depth);
      case Value::u64:
        return number<std::uint64_t>(of);
      case Value::i64:
        return number<std::int64_t>(of);
      case Value::f64:
        return number<double>(of);
      default:
        refuse(fmt::format("{} has the type {}, which the format does not have", of, type));
    }
  }

 private:
  nlohmann::json list(const std::string& of, bool is_kept, int depth) {
    const auto type = number<std::uint32_t>(of);
    const auto count = number<std::uint64_t>(of);
    if (depth == kMostNesting) refuse(fmt::format("{} nests lists deeper than {}", of, kMostNesting));
    // A count is no reason to take memory: every element has a byte at least, a text eight.
    const std::uint64_t least = type == Value::text ? 8 : type == Value::array ? 12 : 1;
    if (count > left() / least)
      refuse(fmt::format("{} says that it has {} elements, and {} bytes are left", of, count, left()));
    nlohmann::json values = nlohmann::json::array();
    for (std::uint64_t i = 0; i < count; ++i) {
      nlohmann::json one = value(type, of, is_kept, depth + 1);
      if (is_kept) values.push_back(std::move(one));
    }
    return is_kept ? values : nlohmann::json();
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

const TensorType& type_of(const Reader& reader, std::uint32_t number, const std::string& tensor) {
  const auto* const found = std::ranges::find(kTensorTypes, number, &TensorType::number);
  if (found != kTensorTypes.end()) return *found;
  const auto* const other = std::ranges::find(kOtherTypes, number, &std::pair<std::uint32_t, std::string_view>::first);
  reader.refuse(fmt::format("tensor {} has the type {}", in_quotes(tensor),
                            other == kOtherTypes.end() ? fmt::format("number {}", number) : std::string(other->second)),
                "F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K are read: quantise the model to one of these");
}

std::uint64_t alignment_of(const Reader& reader, const nlohmann::json& keys) {
  const auto found = keys.find("general.alignment");
  if (found == keys.end()) return kDefaultAlignment;
  const std::uint64_t alignment = found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  if (!std::has_single_bit(alignment) || alignment > kMostAlignment)
    reader.refuse(fmt::format("general.alignment: {} is no power of two up to {}", shown(*found), kMostAlignment));
  return alignment;
}

struct Described {
  TensorInfo info;
  std::uint64_t offset = 0;  // from the start of the data
};

Described describe_tensor(Reader& reader, std::uint64_t index) {
  Described tensor;
  tensor.info.name = reader.string(fmt::format("the name of tensor {}", index));
  const std::string name = fmt::format("tensor {}", in_quotes(tensor.info.name));
  const auto dimensions = reader.number<std::uint32_t>(name);
  if (dimensions < 1 || dimensions > kMostDimensions)
    reader.refuse(fmt::format("{} has {} dimensions", name, dimensions), "1 to 4 are possible");
  std::uint64_t elements = 1;
  constexpr std::uint64_t most = std::uint64_t{1} << 48;  // more than any machine addresses
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = reader.number<std::uint64_t>(name);
    if (extent == 0) reader.refuse(fmt::format("{} has no elements", name));
    if (extent > most / elements) reader.refuse(fmt::format("{} has more elements than can be addressed", name));
    elements *= extent;
    tensor.info.shape.insert(tensor.info.shape.begin(), static_cast<std::int64_t>(extent));
  }
  const TensorType& type = type_of(reader, reader.number<std::uint32_t>(name), tensor.info.name);
  tensor.info.dtype = type.dtype;
  tensor.info.block = type.block;
  tensor.offset = reader.number<std::uint64_t>(name);
  if (type.block == BlockType::none) {
    if (dimensions == 1 && type.dtype != DType::f32)
      reader.refuse(fmt::format("{} has one dimension and the type {}", name, type.name), "such tensors are F32");
    tensor.info.bytes = elements * static_cast<std::uint64_t>(dtype_bits(type.dtype) / 8);
    return tensor;
  }
  const BlockShape shape = block_shape(type.block);
  if (tensor.info.shape.back() % shape.elements != 0)
    reader.refuse(fmt::format("{} has rows of {}, which are no whole blocks of {} ({})", name, tensor.info.shape.back(),
                              shape.elements, type.name));
  tensor.info.bytes = elements / static_cast<std::uint64_t>(shape.elements) * static_cast<std::uint64_t>(shape.bytes);
  return tensor;
}

void check_header(Reader& reader, std::span<const std::byte> bytes) {
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    reader.refuse("does not begin with \"GGUF\"", "name a GGUF file");
  (void)reader.number<std::uint32_t>("the header");
  const auto version = reader.number<std::uint32_t>("the header");
  if (version == kSwappedVersion3 || version == 0x02000000) reader.refuse("is big-endian", "convert the model again");
  if (version != 2 && version != 3)
    reader.refuse(fmt::format("is of version {} of the format", version), "versions 2 and 3 are read");
}

void check_is_whole(const Reader& reader, const nlohmann::json& keys) {
  const auto parts = keys.find("split.count");
  if (parts == keys.end() || !parts->is_number_integer() || *parts <= 1) return;
  reader.refuse(fmt::format("is one of {} parts of a model", parts->dump()), "merge them into one file");
}

// Offsets are checked against the file and against each other.
std::vector<TensorInfo> place(const Reader& reader, std::vector<Described> described, std::uint64_t start,
                              std::uint64_t file_bytes, std::uint64_t alignment) {
  if (start > file_bytes && !described.empty()) reader.refuse("ends before its data", "the file is cut off");
  const std::uint64_t room = file_bytes - std::min(start, file_bytes);
  std::set<std::string_view> names;
  for (Described& tensor : described) {
    const std::string name = fmt::format("tensor {}", in_quotes(tensor.info.name));
    if (!names.insert(tensor.info.name).second) reader.refuse(fmt::format("{} comes twice", name));
    if (tensor.offset % alignment != 0)
      reader.refuse(fmt::format("{} begins at {}, which is no multiple of {}", name, tensor.offset, alignment));
    if (tensor.offset > room || tensor.info.bytes > room - tensor.offset)
      reader.refuse(fmt::format("{} ends beyond the end of the file", name), "the file is cut off");
    tensor.info.offset = start + tensor.offset;
  }
  std::vector<const TensorInfo*> in_order;
  for (const Described& tensor : described) in_order.push_back(&tensor.info);
  std::ranges::sort(in_order, {}, &TensorInfo::offset);
  for (std::size_t i = 1; i < in_order.size(); ++i)
    if (in_order[i - 1]->offset + in_order[i - 1]->bytes > in_order[i]->offset)
      reader.refuse(
          fmt::format("tensors {} and {} overlap", in_quotes(in_order[i - 1]->name), in_quotes(in_order[i]->name)));
  std::vector<TensorInfo> tensors;
  for (Described& tensor : described) tensors.push_back(std::move(tensor.info));
  return tensors;
}

}  // namespace

bool is_gguf(const std::filesystem::path& path) {
  std::error_code ignored;
  return path.extension() == ".gguf" && !std::filesystem::is_directory(path, ignored);
}

GgufFile open_gguf(const std::filesystem::path& path) {
  GgufFile gguf{.file = MappedFile::open(path, "GGUF"), .keys = nlohmann::json::object(), .tensors = {}};
  const std::span<const std::byte> bytes = gguf.file.bytes();
  Reader reader(bytes.first(std::min(bytes.size(), kMostDescription)), path.string());
  check_header(reader, bytes);
  const auto tensors = reader.number<std::uint64_t>("the header");
  const auto keys = reader.number<std::uint64_t>("the header");
  if (tensors > reader.left() / kLeastTensorBytes || keys > reader.left() / kLeastKeyBytes)
    reader.refuse(
        fmt::format("says that it has {} tensors and {} keys, and {} bytes are left", tensors, keys, reader.left()),
        "the file is cut off");
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string key = reader.string(fmt::format("the name of key {}", i));
    const std::string of = fmt::format("key {}", in_quotes(key));
    const auto type = reader.number<std::uint32_t>(of);
    nlohmann::json value = reader.value(type, of, key.starts_with(kOfTokenizer));
    if (!gguf.keys.emplace(key, std::move(value)).second) reader.refuse(fmt::format("{} comes twice", of));
  }
  check_is_whole(reader, gguf.keys);
  const std::uint64_t alignment = alignment_of(reader, gguf.keys);
  std::vector<Described> described;
  for (std::uint64_t i = 0; i < tensors; ++i) described.push_back(describe_tensor(reader, i));
  const std::uint64_t start = (reader.at() + alignment - 1) / alignment * alignment;
  gguf.tensors = place(reader, std::move(described), start, bytes.size(), alignment);
  return gguf;
}

}  // namespace attnlab::model
