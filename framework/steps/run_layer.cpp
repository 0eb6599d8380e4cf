#include <algorithm>

#include "ops/product_kernels.h"
#include "parallel/parallel.h"
#include "steps/model_steps.h"

namespace attnlab {

ModelSteps::~ModelSteps() = default;

void ModelSteps::embed(std::span<const std::int32_t> tokens, const Embedding& embedding, TensorView<float, 2> out) {
  constexpr std::size_t rows_of_task = 32;
  const Work work = Work::numbers(static_cast<double>(out.elements()));
  parallel_for(static_cast<int>((tokens.size() + rows_of_task - 1) / rows_of_task), work, [&](int task, WorkerSlot) {
    const std::size_t first = static_cast<std::size_t>(task) * rows_of_task;
    for (std::size_t row = first; row < std::min(first + rows_of_task, tokens.size()); ++row) {
      const std::span<float> to = out.row(static_cast<std::int64_t>(row));
      if (embedding.tied != nullptr)
        embedding.tied->copy_output(tokens[row], to);
      else
        widen_row(embedding.table + tokens[row] * to.size() * element_bytes(embedding.type), embedding.type, to);
    }
  });
}

void ModelSteps::add_positions(const PositionScheme& scheme, std::span<const Position> positions,
                               TensorView<float, 2> embeddings) {
  scheme.add_to_embeddings(positions, embeddings);
}

void run_layer(ModelSteps& steps, AttentionVariant& attention, const LayerPass& pass, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) {
  const LayerContext layer{pass.chunk, pass.cache, pass.position, steps, pass.state};
  {
    const Steps::Scope scope(steps);
    steps.layer_number_ = pass.layer;
    steps.histories_ = pass.histories;
    steps.enter(&layer, attention.kv_shape());
    attention.forward(layer, hidden, out);
    steps.enter(nullptr, {});
  }
  if (pass.ends_rows) pass.cache.end_chunk(pass.chunk);
}

}  // namespace attnlab
