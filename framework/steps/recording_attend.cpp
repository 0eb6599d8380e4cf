// Recorded steps of attention: rotation, rows, the core.
#include <pthread.h>

#include <memory>
#include <string>
#include <vector>

#include <attnlab/error.h>

#include "core/attend_backward.h"
#include "ops/row_backward.h"
#include "ops/row_steps.h"
#include "steps/recording_steps.h"

namespace attnlab {
namespace {

// The stack of this thread; empty where it is not known.
std::span<const std::byte> stack_of_thread() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return {};
  void* lowest = nullptr;
  std::size_t size = 0;
  const bool known = pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  pthread_attr_destroy(&attributes);
  return {static_cast<const std::byte*>(lowest), known ? size : 0};
}

// Whether an object stands there, and will be gone when it is looked at again.
bool is_on_stack(const void* object) {
  thread_local const std::span<const std::byte> stack = stack_of_thread();
  const auto* const at = static_cast<const std::byte*>(object);
  return at >= stack.data() && at < stack.data() + stack.size();
}

void check_lasts(const void* object, const char* what) {
  if (object != nullptr && is_on_stack(object))
    throw Error("", std::string("a ") + what + " that ends with the call is needed again for its derivative",
                "make it by `steps.keep<" + std::string(what) + ">(...)`, or once for the module");
}

// The arguments of a step, for as long as the pass lives.
struct KeptAttend {
  KeptAttend(const LayerContext& layer, const AttendStep& step)
      : queries(step.queries),
        scale(step.scale),
        mask(step.mask),
        sink_logits(step.sink_logits),
        weighting(step.weighting),
        row_weighting(step.row_weighting),
        source(layer.cache),
        rotation(layer.position.rotation()),
        row_bias(layer.position.row_bias()),
        chunk(step.chunk != nullptr ? *step.chunk : layer.chunk) {
    if (step.chunk != nullptr) {  // arrays of the caller's own
      offsets.assign(chunk.offsets.begin(), chunk.offsets.end());
      positions.assign(chunk.positions.begin(), chunk.positions.end());
      phases.assign(chunk.phases.begin(), chunk.phases.end());
      lengths.assign(chunk.lengths.begin(), chunk.lengths.end());
      chunk = {offsets, positions, phases, lengths};
    }
    if (const ScoreHook* bias = layer.position.score_bias()) hooks.push_back(bias);
    hooks.insert(hooks.end(), step.hooks.begin(), step.hooks.end());
  }
  KeptAttend(const KeptAttend&) = delete;

  [[nodiscard]] AttendArgs args() const {
    return {.queries = queries,
            .chunk = chunk,
            .source = source,
            .scale = scale,
            .rotation = rotation,
            .row_bias = row_bias,
            .hooks = hooks,
            .mask = mask,
            .sink_logits = sink_logits,
            .weighting = weighting,
            .row_weighting = row_weighting};
  }

  TensorView<const float, 3> queries;
  float scale;
  const MaskRule& mask;
  std::span<const float> sink_logits;
  const Weighting* weighting;
  const RowWeighting* row_weighting;
  const KvSource& source;
  const Rotation* rotation;
  const RowBias* row_bias;
  ChunkView chunk;
  std::vector<const ScoreHook*> hooks;
  std::vector<std::int32_t> offsets;
  std::vector<Position> positions;
  std::vector<Phase> phases;
  std::vector<Position> lengths;
};

}  // namespace

void RecordingSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  change(rows, "rotate");
  const Rotation* rotation = layer().position.rotation();
  if (rotation == nullptr) return;
  KvShape shape = shape_;
  if (shape.kv_heads == 0) shape.key_dim = static_cast<int>(rows.extent(2));
  const TensorView<const float, 3> before = saved(rows);
  direct_.rotate(side, rows);
  keep([this, rotation, shape, side, rows, before, chunk = layer().chunk] {
    copy_rows(before, rows);
    rotate_rows_back(chunk, rotation, shape, side, of_.of(rows));
  });
}

void RecordingSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values,
                            std::span<const float> marks) {
  change(keys, "append");
  change(values, "append");
  if (!marks.empty()) check_written(marks, "append");
  LayerCache& cache = layer().cache;
  if (appended_.contains(&cache))
    throw Error("", "rows that are appended in two pieces have no derivative", "append the rows of a call at once");
  if (cache.key_form() == KeyForm::rotated) rotate(RotateSide::key, keys);
  cache.append(layer().chunk, {keys, values, marks});
  const auto zeros = [&](std::int64_t heads, std::int64_t width) {
    const TensorView<float, 3> rows = saved_.rows(keys.extent(0), heads, width);
    std::fill_n(rows.data(), rows.elements(), 0.0F);
    return rows;
  };
  const std::int64_t heads = keys.extent(1);
  const RowGradients of{.chunk = layer().chunk,
                        .keys = zeros(heads, keys.extent(2)),
                        .values = zeros(heads, values.extent(2)),
                        .marks = zeros(heads, shape_.marks)};
  appended_[&cache] = {keys, values, of};
  keep([this, keys, values, marks, of] {
    constexpr float both[] = {1.0F, 1.0F};
    blend_rows(of.keys, both, of_.of(keys));
    blend_rows(of.values, both, of_.of(values));
    if (!marks.empty())
      blend_rows(of.marks, both,
                 of_.of(TensorView<const float, 3>(marks.data(),
                                                   {of.marks.extent(0), of.marks.extent(1), of.marks.extent(2)})));
  });
}

void RecordingSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  read(step.queries, "attend");
  if (step.source != nullptr && step.source != &layer().cache)
    throw Error("", "attention over rows that a variant made itself has no derivative",
                "attend over the layer's cache where `steps.records()`");
  const auto appended = appended_.find(&layer().cache);
  if (appended == appended_.end())
    throw Error("", "attention over rows of earlier calls has no derivative", "a sequence is trained whole");
  check_lasts(&step.mask, "MaskRule");
  for (const ScoreHook* hook : step.hooks) check_lasts(hook, "ScoreHook");
  check_lasts(step.weighting, "Weighting");
  check_lasts(step.row_weighting, "RowWeighting");
  const auto kept = std::make_shared<KeptAttend>(layer(), step);
  check_differentiable(kept->args());
  if (!step.sink_logits.empty()) (void)of_values(step.sink_logits);
  const bool is_softmax = step.weighting == nullptr && step.row_weighting == nullptr;
  const bool asked = log_sum.data() != nullptr;
  if (!asked && is_softmax) log_sum = saved_.rows(out.extent(0), out.extent(1));
  write(out);
  if (asked) write(log_sum);
  direct_.attend(step, out, log_sum);
  keep([this, kept, &cache = layer().cache, of_rows = appended->second.gradients, out, log_sum, asked] {
    for (int sequence = 0; sequence < of_rows.chunk.sequences(); ++sequence)
      for (int head = 0; head < cache.shape().kv_heads; ++head)
        if (cache.rows(sequence, head) != of_rows.chunk.tokens_of(sequence))
          throw Error("", "the cache has dropped rows, so attention over them has no derivative",
                      "a model is trained with a cache that keeps every row");
    attend_backward(kept->args(), out, log_sum,
                    {.out = of_.of(out),
                     .log_sum = asked ? TensorView<const float, 2>(of_.of(log_sum)) : TensorView<const float, 2>(),
                     .queries = of_.of(kept->queries),
                     .rows = of_rows,
                     .others = of_});
  });
}

}  // namespace attnlab
