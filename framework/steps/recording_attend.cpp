// Recorded steps of attention: rotation, rows, the core.
#include <pthread.h>

#include <string>
#include <vector>

#include <attnlab/error.h>

#include "core/attend_backward.h"
#include "ops/row_backward.h"
#include "ops/row_steps.h"
#include "steps/recording_steps.h"

namespace attnlab {
namespace {

// Whether an object stands on the stack of this thread, and will be gone when it is looked at again.
bool is_on_stack(const void* object) {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return false;
  void* lowest = nullptr;
  std::size_t size = 0;
  const bool known = pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  pthread_attr_destroy(&attributes);
  const auto* const at = static_cast<const std::byte*>(object);
  return known && at >= lowest && at < static_cast<std::byte*>(lowest) + size;
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
  ChunkView chunk;
  std::vector<const ScoreHook*> hooks;
  std::vector<std::int32_t> offsets;
  std::vector<Position> positions;
  std::vector<Phase> phases;
  std::vector<Position> lengths;
};

}  // namespace

void RecordingSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  read(rows, "rotate");
  const Rotation* rotation = layer().position.rotation();
  if (rotation == nullptr) return;
  KvShape shape = shape_;
  if (shape.kv_heads == 0) shape.key_dim = static_cast<int>(rows.extent(2));
  const TensorView<const float, 3> before = saved(rows);
  direct_.rotate(side, rows);
  keep([this, rotation, shape, side, rows, before, chunk = layer().chunk] {
    const float whole[] = {1.0F, 0.0F};
    blend_rows(before, whole, rows);
    rotate_rows_back(chunk, rotation, shape, side, of_.of(rows));
  });
}

void RecordingSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values,
                            std::span<const float> marks) {
  read(keys, "append");
  read(values, "append");
  if (!marks.empty()) check_written(marks, "append");
  LayerCache& cache = layer().cache;
  if (appended_.contains(&cache))
    throw Error("", "rows that are appended in two pieces have no derivative", "append the rows of a call at once");
  if (cache.key_form() == KeyForm::rotated) rotate(RotateSide::key, keys);
  cache.append(layer().chunk, {keys, values, marks});
  appended_[&cache] = {keys, values, marks};
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
  keep([this, kept, rows = appended->second, out, log_sum, asked] {
    const KvShape shape = kept->source.shape();
    TensorView<float, 3> of_marks{};
    if (shape.marks > 0)
      of_marks = of_.of(TensorView<const float, 3>(rows.marks.data(),
                                                   {rows.keys.extent(0), std::int64_t{shape.kv_heads}, shape.marks}));
    attend_backward(kept->args(), out, log_sum,
                    {.out = of_.of(out),
                     .log_sum = asked ? TensorView<const float, 2>(of_.of(log_sum)) : TensorView<const float, 2>(),
                     .queries = of_.of(kept->queries),
                     .rows = {of_.of(rows.keys), of_.of(rows.values), of_marks},
                     .others = of_});
  });
}

}  // namespace attnlab
