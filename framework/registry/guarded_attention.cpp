// Attention variants as the host calls them, and what components declare of their parameters; see guarded.h.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "registry/guarded.h"

namespace attnlab {
namespace {

constexpr int kMostHeads = 1 << 16;
constexpr int kWidest = 1 << 20;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 40;

thread_local Callee* attention_of_last_forward = nullptr;

// What is wrong with it; empty: nothing.
std::string shape_fault(const KvShape& shape) {
  if (shape.kv_heads == 0) return {};
  const auto outside = [](const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
    if (value >= least && value <= most) return std::string();
    return fmt::format("{} is {}, not within {} and {}", name, value, least, most);
  };
  for (const std::string& fault :
       {outside("kv_heads", shape.kv_heads, 0, kMostHeads), outside("key_dim", shape.key_dim, 1, kWidest),
        outside("value_dim", shape.value_dim, 1, shape.value_is_key_prefix ? shape.key_dim : kWidest),
        outside("rotated_first", shape.rotated_first, 0, shape.key_dim),
        outside("rotated_width", shape.rotated_width, 0, shape.key_dim),
        outside("rotated_repeats", shape.rotated_repeats, 1, shape.key_dim), outside("marks", shape.marks, 0, kWidest)})
    if (!fault.empty()) return fault;
  const std::int64_t rotated_end =
      shape.rotated_first + std::int64_t{shape.rotated_repeats} * std::max(shape.rotated_width, 0);
  if (rotated_end > shape.key_dim)
    return fmt::format("the rotated columns end at {}, beyond key_dim {}", rotated_end, shape.key_dim);
  return {};
}

std::string parameter_fault(const ParameterSpec& spec) {
  if (spec.name.empty()) return "a parameter has no name";
  const std::string name = fmt::format("parameter \"{}\"", spec.name);
  if (spec.shape.empty() || (spec.form == ParameterForm::matrix && spec.shape.size() != 2))
    return fmt::format("{} has {} axes; a matrix has 2, values have 1 or more", name, spec.shape.size());
  std::int64_t numbers = 1;
  for (const std::int64_t extent : spec.shape) {
    if (extent < 1 || extent > kMostNumbers / numbers) return fmt::format("{} has an axis of {}", name, extent);
    numbers *= extent;
  }
  if (spec.convert_heads < 0 || (spec.convert_heads > 0 && spec.shape.front() % spec.convert_heads != 0))
    return fmt::format("{} has {} rows, which are no {} heads of equal width", name, spec.shape.front(),
                       spec.convert_heads);
  return {};
}

class GuardedAttention final : public AttentionVariant {
 public:
  GuardedAttention(Callee& callee, std::unique_ptr<AttentionVariant> inner)
      : callee_(callee), inner_(std::move(inner)) {
    shape_ = call_plugin(callee_, "kv_shape", [&] { return inner_->kv_shape(); });
    if (const std::string fault = shape_fault(shape_); !fault.empty()) broken_rule_of(callee_, "kv_shape", fault);
    kv_layer_ = call_plugin(callee_, "kv_layer", [&] { return inner_->kv_layer(); });
    if (kv_layer_ < -1) broken_rule_of(callee_, "kv_layer", fmt::format("it reads the rows of layer {}", kv_layer_));
    state_floats_ = call_plugin(callee_, "state_floats", [&] { return inner_->state_floats(); });
    if (state_floats_ < 0 || state_floats_ > kMostNumbers)
      broken_rule_of(callee_, "state_floats", fmt::format("a state of {} numbers", state_floats_));
    window_ = call_plugin(callee_, "visible_window", [&] { return inner_->visible_window(); });
    if (window_ < 0) broken_rule_of(callee_, "visible_window", fmt::format("a window of {} keys", window_));
    visible_rows_ = call_plugin(callee_, "visible_rows", [&] { return inner_->visible_rows(); });
    if (visible_rows_ < 0) broken_rule_of(callee_, "visible_rows", fmt::format("{} rows are seen", visible_rows_));
  }

  std::vector<ParameterSpec> parameters() const override { return declared_parameters(callee_, *inner_); }
  void bind(const ParameterSet& parameters) override {
    call_plugin(callee_, "bind", [&] { inner_->bind(parameters); });
  }
  void refresh() override {
    call_plugin(callee_, "refresh", [&] { inner_->refresh(); });
  }
  // As they were when it was made: caches and states have been sized by them.
  KvShape kv_shape() const override { return shape_; }
  std::int64_t state_floats() const override { return state_floats_; }
  std::int64_t summary_floats(int tokens) const override {
    const std::int64_t floats = call_plugin(callee_, "summary_floats", [&] { return inner_->summary_floats(tokens); });
    if (floats < 0 || floats > kMostNumbers)
      broken_rule_of(callee_, "summary_floats", fmt::format("{} numbers for {} tokens", floats, tokens));
    return floats;
  }
  int kv_layer() const override { return kv_layer_; }
  int visible_window() const override { return window_; }
  int visible_rows() const override { return visible_rows_; }

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    // An output that is not written would be that of the layer before: it is NaN at its ends, or all over.
    for (std::int64_t token = 0; token < out.extent(0); ++token) {
      const std::span<float> row = out.row(token);
      row.front() = row.back() = std::numeric_limits<float>::quiet_NaN();
      if (CarefulCalls::are_on()) std::ranges::fill(row, std::numeric_limits<float>::quiet_NaN());
    }
    call_plugin(callee_, "forward", [&] { inner_->forward(layer, hidden, out); });
    attention_of_last_forward = &callee_;
  }

 private:
  Callee& callee_;
  std::unique_ptr<AttentionVariant> inner_;
  KvShape shape_;
  int kv_layer_ = -1;
  std::int64_t state_floats_ = 0;
  int window_ = 0;
  int visible_rows_ = 0;
};

}  // namespace

Callee* last_attention() noexcept {
  return attention_of_last_forward;
}

std::vector<ParameterSpec> declared_parameters(Callee& callee, const Module& module) {
  std::vector<ParameterSpec> specs = call_plugin(callee, "parameters", [&] { return module.parameters(); });
  std::set<std::string_view> names;
  for (const ParameterSpec& spec : specs) {
    std::string fault = parameter_fault(spec);
    if (fault.empty() && !names.insert(spec.name).second) fault = fmt::format("parameter \"{}\" twice", spec.name);
    if (!fault.empty()) broken_rule_of(callee, "parameters", fault);
  }
  return specs;
}

std::unique_ptr<AttentionVariant> guarded(Callee& callee, std::unique_ptr<AttentionVariant> attention) {
  return std::make_unique<GuardedAttention>(callee, std::move(attention));
}

}  // namespace attnlab
