// The header is read by events, not into a tree: what is not allowed is refused at its first byte, so neither depth
// nor size of a hostile header costs more than the header itself.
#include "model/checkpoints/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kFields = "dtype, shape and data_offsets";

// A tensor as its entry says, not yet believed.
struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::optional<std::vector<std::uint64_t>> shape;
  std::optional<std::vector<std::uint64_t>> offsets;
};

class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::size_t data_start, std::size_t data_bytes, const std::string& where)
      : data_start_(data_start), data_bytes_(data_bytes), where_(where) {}

  SafetensorsHeader take() { return {std::move(tensors_), std::move(metadata_)}; }

  bool null() override { return refuse_value("null"); }
  bool boolean(bool value) override { return refuse_value(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override { return refuse_value(fmt::format("{}", value)); }
  bool number_float(double, const std::string& text) override { return refuse_value(text); }
  bool binary(nlohmann::json::binary_t&) override { return refuse_value("binary data"); }

  bool number_unsigned(std::uint64_t value) override {
    if (state_ == State::shape) return entry_.shape->push_back(value), true;
    if (state_ == State::offsets) return entry_.offsets->push_back(value), true;
    return refuse_value(fmt::format("{}", value));
  }

  bool string(std::string& value) override {
    if (state_ == State::metadata) return metadata_[metadata_key_] = std::move(value), true;
    if (state_ != State::entry || key_ != "dtype") return refuse_value(in_quotes(value));
    entry_.dtype = dtype_named(value);
    if (!entry_.dtype) refuse(fmt::format("{}: unknown dtype {}", tensor(), in_quotes(value)));
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::start) {
      state_ = State::top;
    } else if (state_ == State::top && key_ == kMetadata) {
      state_ = State::metadata;
    } else if (state_ == State::top) {
      state_ = State::entry;
      entry_ = {.name = std::exchange(key_, {}), .dtype = {}, .shape = {}, .offsets = {}};
    } else {
      refuse_value("an object");
    }
    return true;
  }

  bool key(std::string& key) override {
    if (state_ == State::metadata && metadata_.contains(key)) {
      refuse(fmt::format("{}: the key {} occurs twice", kMetadata, in_quotes(key)));
    }
    if (state_ == State::top && key == kMetadata && std::exchange(has_metadata_, true)) {
      refuse(fmt::format("{} occurs twice", kMetadata));
    }
    if (state_ == State::entry) check_field(key);
    (state_ == State::metadata ? metadata_key_ : key_) = std::move(key);
    return true;
  }

  bool end_object() override {
    if (state_ == State::entry) finish_entry();
    state_ = state_ == State::top ? State::start : State::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::entry && key_ == "shape") {
      state_ = State::shape;
      entry_.shape.emplace();
    } else if (state_ == State::entry && key_ == "data_offsets") {
      state_ = State::offsets;
      entry_.offsets.emplace();
    } else {
      refuse_value("a list");
    }
    return true;
  }

  bool end_array() override {
    state_ = State::entry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    refuse(fmt::format("the header is not JSON: byte {}: {}", position, syntax_message(error.what())));
  }

 private:
  enum class State { start, top, metadata, entry, shape, offsets };

  [[noreturn]] void refuse(std::string what) const { throw Error(where_, std::move(what)); }
  std::string tensor() const { return "tensor " + in_quotes(entry_.name); }

  // A value of a kind that has no business where it stands.
  bool refuse_value(const std::string& value) const {
    switch (state_) {
      case State::start:
        refuse(fmt::format("the header is no JSON object but {}", value));
      case State::top:
        if (key_ == kMetadata) refuse(fmt::format("{} must be a map of strings, not {}", kMetadata, value));
        refuse(fmt::format("tensor {}: must be an object with {}, not {}", in_quotes(key_), kFields, value));
      case State::metadata:
        refuse(fmt::format("{} must map strings to strings, not to {}", kMetadata, value));
      case State::entry:
        refuse(fmt::format("{}: {} cannot be {}", tensor(), key_, value));
      case State::shape:
        refuse(fmt::format("{}: shape holds {}, which is no non-negative integer", tensor(), value));
      case State::offsets:
        refuse(fmt::format("{}: data_offsets hold {}, which is no non-negative integer", tensor(), value));
    }
    return false;
  }

  void check_field(const std::string& field) const {
    const bool twice = (field == "dtype" && entry_.dtype) || (field == "shape" && entry_.shape) ||
                       (field == "data_offsets" && entry_.offsets);
    if (twice) refuse(fmt::format("{}: {} occurs twice", tensor(), field));
    if (field != "dtype" && field != "shape" && field != "data_offsets") {
      refuse(fmt::format("{}: unknown field {}; an entry has {}", tensor(), in_quotes(field), kFields));
    }
  }

  void finish_entry() {
    for (const auto& [present, field] :
         {std::pair{entry_.dtype.has_value(), "dtype"}, std::pair{entry_.shape.has_value(), "shape"},
          std::pair{entry_.offsets.has_value(), "data_offsets"}}) {
      if (!present) refuse(fmt::format("{}: {} is missing", tensor(), field));
    }
    if (entry_.offsets->size() != 2) {
      refuse(fmt::format("{}: data_offsets hold {} numbers instead of 2", tensor(), entry_.offsets->size()));
    }
    const std::uint64_t begin = (*entry_.offsets)[0];
    const std::uint64_t end = (*entry_.offsets)[1];
    if (begin > end) refuse(fmt::format("{}: data_offsets [{}, {}] end before they begin", tensor(), begin, end));
    if (end > data_bytes_) {
      refuse(fmt::format("{}: data_offsets [{}, {}] are out of range: the file holds {} bytes of data", tensor(), begin,
                         end, data_bytes_));
    }
    const std::uint64_t bytes = shape_bytes();
    if (bytes != end - begin) {
      refuse(fmt::format("{}: {} of shape {} is {} bytes, but data_offsets span {}", tensor(),
                         dtype_name(*entry_.dtype), shape_text(), bytes, end - begin));
    }
    tensors_.push_back({.name = std::move(entry_.name),
                        .dtype = *entry_.dtype,
                        .shape = {entry_.shape->begin(), entry_.shape->end()},
                        .offset = data_start_ + begin,
                        .bytes = end - begin});
  }

  // Multiplied in order and checked at each step: a zero that comes later does not excuse an overflow.
  std::uint64_t shape_bytes() const {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t elements = 1;
    std::uint64_t bits = 0;
    for (const std::uint64_t extent : *entry_.shape) {
      if (extent > kMax || __builtin_mul_overflow(elements, extent, &elements) || elements > kMax) refuse_overflow();
    }
    const auto width = static_cast<std::uint64_t>(dtype_bits(*entry_.dtype));
    if (__builtin_mul_overflow(elements, width, &bits)) refuse_overflow();
    if (bits % 8 != 0) refuse(fmt::format("{}: shape {} does not fill whole bytes", tensor(), shape_text()));
    return bits / 8;
  }

  [[noreturn]] void refuse_overflow() const {
    refuse(fmt::format("{}: the product of shape {} overflows", tensor(), shape_text()));
  }

  std::string shape_text() const {
    constexpr std::size_t kShown = 8;
    const std::span<const std::uint64_t> shape(*entry_.shape);
    return fmt::format("[{}{}]", fmt::join(shape.first(std::min(kShown, shape.size())), ", "),
                       shape.size() > kShown ? ", ..." : "");
  }

  std::size_t data_start_;
  std::size_t data_bytes_;
  const std::string& where_;
  State state_ = State::start;
  std::string key_;  // the last key outside the metadata
  Entry entry_;
  bool has_metadata_ = false;
  std::string metadata_key_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> tensors_;
};

void check_names(const std::vector<TensorInfo>& tensors, const std::string& where) {
  std::vector<const TensorInfo*> by_name;
  for (const TensorInfo& tensor : tensors) by_name.push_back(&tensor);
  std::ranges::sort(by_name, {}, &TensorInfo::name);
  const auto twin = std::ranges::adjacent_find(by_name, {}, &TensorInfo::name);
  if (twin != by_name.end()) throw Error(where, fmt::format("tensor {} occurs twice", in_quotes((*twin)->name)));
}

// The data must be covered exactly: every byte belongs to one tensor.
void check_layout(const std::vector<TensorInfo>& sorted, std::size_t data_start, std::size_t data_bytes,
                  const std::string& where) {
  std::size_t covered = data_start;
  std::string previous = "the header";
  for (const TensorInfo& tensor : sorted) {
    const std::string name = "tensor " + in_quotes(tensor.name);
    if (tensor.offset < covered) throw Error(where, fmt::format("{} overlaps {}", name, previous));
    if (tensor.offset > covered) {
      throw Error(where, fmt::format("a hole of {} bytes between {} and {}", tensor.offset - covered, previous, name));
    }
    covered += tensor.bytes;
    previous = name;
  }
  if (covered != data_start + data_bytes) {
    throw Error(where, fmt::format("{} trailing bytes after {}", data_start + data_bytes - covered, previous));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, std::size_t data_start, std::size_t data_bytes,
                                           const std::string& where) {
  if (!json.starts_with('{')) throw Error(where, "the header is no JSON object: it does not begin with \"{\"");
  // nlohmann's parser takes a NUL for the end of the text and would leave the rest unread.
  if (json.find('\0') != std::string_view::npos) throw Error(where, "the header is not JSON: it holds a NUL byte");
  HeaderReader reader(data_start, data_bytes, where);
  nlohmann::json::sax_parse(json, &reader);
  SafetensorsHeader header = reader.take();
  check_names(header.tensors, where);
  std::ranges::sort(header.tensors, {}, [](const TensorInfo& tensor) {
    return std::pair{tensor.offset, tensor.bytes};
  });
  check_layout(header.tensors, data_start, data_bytes, where);
  return header;
}

}  // namespace attnlab::model
