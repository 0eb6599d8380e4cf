// Storages and their codecs as the host calls them; see guarded.h.
#include <string>

#include "registry/guarded.h"

namespace attnlab {
namespace {

// What is wrong with it for rows of this width; empty: nothing.
std::string layout_fault(const RowLayout& layout, int width) {
  const std::string sizes = "rows of " + std::to_string(layout.parameters) + " parameters and " +
                            std::to_string(layout.units) + " units of " + std::to_string(layout.unit_bytes) + " bytes";
  constexpr int kMost = 1 << 24;
  if (layout.parameters < 0 || layout.parameters > kMost || layout.units < 1 || layout.units > kMost ||
      (layout.unit_bytes != 1 && layout.unit_bytes != 2 && layout.unit_bytes != 4))
    return sizes + "; there is at least one unit, of 1, 2 or 4 bytes";
  const bool is_one_each = layout.units == width;
  if (layout.meaning == RowLayout::Units::floats &&
      !(is_one_each && layout.unit_bytes == sizeof(float) && layout.parameters == 0))
    return sizes + "; rows of floats are " + std::to_string(width) + " units of 4 bytes without parameters";
  if (layout.meaning == RowLayout::Units::scaled_int8 &&
      !(is_one_each && layout.unit_bytes == 1 && layout.parameters == 1))
    return sizes + "; rows of scaled_int8 are " + std::to_string(width) + " units of 1 byte with one parameter";
  if (layout.meaning == RowLayout::Units::bf16 && !(is_one_each && layout.unit_bytes == 2 && layout.parameters == 0))
    return sizes + "; rows of bf16 are " + std::to_string(width) + " units of 2 bytes without parameters";
  if (layout.meaning == RowLayout::Units::affine_int4 &&
      !(layout.group > 0 && layout.group % 32 == 0 && layout.unit_bytes == 1 && layout.units == (width + 1) / 2 &&
        layout.parameters == (width + layout.group - 1) / layout.group * 2))
    return sizes + ", groups of " + std::to_string(layout.group) + "; rows of affine_int4 are " +
           std::to_string((width + 1) / 2) + " units of 1 byte, with two parameters a group of a multiple of 32";
  return {};
}

class GuardedRowCodec final : public RowCodec, public ChannelDecoder {
 public:
  GuardedRowCodec(Callee& callee, std::unique_ptr<RowCodec> inner)
      : callee_(callee), inner_(std::move(inner)), channels_(inner_->channels()) {}

  RowLayout layout() const noexcept override {
    const PluginCall call(callee_, "layout");
    return inner_->layout();
  }
  void encode(const float* numbers, float* parameters, std::byte* units) const noexcept override {
    const PluginCall call(callee_, "RowCodec::encode");
    inner_->encode(numbers, parameters, units);
  }
  void decode(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    const PluginCall call(callee_, "RowCodec::decode");
    inner_->decode(rows, to, stride);
  }
  const ChannelDecoder* channels() const noexcept override { return channels_ == nullptr ? nullptr : this; }
  void decode_channels(const HeldRows& rows, float* to, std::int64_t stride) const noexcept override {
    const PluginCall call(callee_, "decode_channels");
    channels_->decode_channels(rows, to, stride);
  }
  float largest_error(std::span<const float> numbers) const noexcept override {
    const PluginCall call(callee_, "largest_error");
    return inner_->largest_error(numbers);
  }

 private:
  Callee& callee_;
  std::unique_ptr<RowCodec> inner_;
  const ChannelDecoder* channels_;
};

class GuardedGroupCodec final : public GroupCodec {
 public:
  GuardedGroupCodec(Callee& callee, std::unique_ptr<GroupCodec> inner) : callee_(callee), inner_(std::move(inner)) {}

  int rows() const noexcept override {
    const PluginCall call(callee_, "GroupCodec::rows");
    return inner_->rows();
  }
  std::size_t bytes() const noexcept override {
    const PluginCall call(callee_, "GroupCodec::bytes");
    return inner_->bytes();
  }
  void encode(const float* channels, std::byte* group) const noexcept override {
    const PluginCall call(callee_, "GroupCodec::encode");
    inner_->encode(channels, group);
  }
  void decode(const std::byte* group, int first, int count, float* to, std::int64_t stride) const noexcept override {
    const PluginCall call(callee_, "GroupCodec::decode");
    inner_->decode(group, first, count, to, stride);
  }
  float largest_error(std::span<const float> channels) const noexcept override {
    const PluginCall call(callee_, "largest_error");
    return inner_->largest_error(channels);
  }

 private:
  Callee& callee_;
  std::unique_ptr<GroupCodec> inner_;
};

class GuardedStorage final : public Storage {
 public:
  GuardedStorage(Callee& callee, std::unique_ptr<Storage> inner) : callee_(callee), inner_(std::move(inner)) {}

  SideCodec codec(RowSide side, int width) const override {
    SideCodec made = call_plugin(callee_, "codec", [&] { return inner_->codec(side, width); });
    if ((made.rows == nullptr) == (made.groups == nullptr))
      broken_rule_of(callee_, "codec", made.rows == nullptr ? "it made no codec" : "it made two codecs",
                     "make a codec of rows or a codec of groups");
    const std::optional<int> residual = inner_->residual();
    if (residual && *residual < 0)
      broken_rule_of(callee_, "residual", "it is " + std::to_string(*residual), "give at least 0");
    if (made.groups != nullptr && !residual)
      broken_rule_of(callee_, "codec", "a codec of groups in a storage without a residual",
                     "say in residual() how many rows stay as they are, perhaps 0");
    if (made.rows != nullptr) {
      auto rows = std::make_unique<GuardedRowCodec>(callee_, std::move(made.rows));
      if (const std::string fault = layout_fault(rows->layout(), width); !fault.empty())
        broken_rule_of(callee_, "layout", fault);
      return {.rows = std::move(rows)};
    }
    check_group(*made.groups);
    return {.groups = std::make_unique<GuardedGroupCodec>(callee_, std::move(made.groups))};
  }
  std::optional<int> residual() const noexcept override {
    const PluginCall call(callee_, "residual");
    return inner_->residual();
  }

 private:
  void check_group(const GroupCodec& groups) const {
    constexpr std::size_t kMostBytes = std::size_t{1} << 30;
    if (groups.rows() < 1)
      broken_rule_of(callee_, "codec", "groups of " + std::to_string(groups.rows()) + " rows", "give at least one row");
    if (groups.bytes() < 1 || groups.bytes() > kMostBytes)
      broken_rule_of(callee_, "codec", "groups of " + std::to_string(groups.bytes()) + " bytes");
  }

  Callee& callee_;
  std::unique_ptr<Storage> inner_;
};

}  // namespace

std::unique_ptr<Storage> guarded(Callee& callee, std::unique_ptr<Storage> storage) {
  return std::make_unique<GuardedStorage>(callee, std::move(storage));
}

}  // namespace attnlab
