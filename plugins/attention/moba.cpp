// Mixture of block attention: a query head reads its own block of rows and the earlier blocks whose mean keys score
// highest. Lu et al. 2025. Decode is as sparse as the prompt here; the authors' fast form is dense in decode, and reads
// everything where top_k is 1. Means of complete blocks are kept, so that a step reads only the rows that it chose. Not
// here: caches that drop rows, since a later query may choose any block.
#include <algorithm>
#include <numeric>

#include <attnlab/block_means.h>
#include <attnlab/chosen_blocks.h>
#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;
using attnlab::TensorView;

struct MobaOptions {
  std::int32_t block = 512;
  std::int32_t top_k = 3;
  static constexpr auto fields() {
    using M = MobaOptions;
    return std::tuple{
        attnlab::field("block", &M::block, {.min = 1, .unit = "tokens", .doc = "Rows of a block, from position 0."}),
        attnlab::field("top_k", &M::top_k, {.min = 1, .max = 4096, .doc = "Blocks a query reads, its own included."})};
  }
};

class Moba final : public attnlab::AttentionVariant {
 public:
  Moba(const MobaOptions& options, const attnlab::CreateContext& context)
      : projections_(context.kv_heads, context),
        means_(options.block, projections_.kv_shape()),
        block_(options.block),
        earlier_(options.top_k - 1) {}
  static attnlab::Traits traits(const MobaOptions&) {
    return {
        .provides = {Feature::kv_rows, Feature::attention_mass},
        .excludes = {Feature::token_eviction, Feature::selects_tiles, Feature::unrotated_store, Feature::whole_groups}};
  }
  std::vector<attnlab::ParameterSpec> parameters() const override { return projections_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { projections_.bind(parameters); }
  attnlab::KvShape kv_shape() const override { return projections_.kv_shape(); }
  std::int64_t summary_floats(int tokens) const override { return means_.floats(tokens); }
  int visible_rows() const override { return static_cast<int>(std::min((earlier_ + 1L) * block_, 0x7fffffffL)); }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const std::int64_t tokens = layer.chunk.tokens(), heads = projections_.heads();
    const std::int64_t blocks = std::ranges::max(layer.chunk.positions) / block_ + 1;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto rotated = steps.rows(tokens, heads, projections_.head_dim());
    auto mixed = steps.rows(tokens, heads, projections_.head_dim());
    auto* marks = reinterpret_cast<std::uint8_t*>(steps.floats(tokens * heads * blocks / 4 + 1).data());
    std::fill_n(marks, tokens * heads * blocks, 0);
    const TensorView<std::uint8_t, 3> reads(marks, {tokens, heads, blocks});
    steps.append(k, v);
    std::copy_n(q.data(), q.elements(), rotated.data());
    steps.custom({.reads = {all_of(q)}, .writes = {all_of(rotated)}}, [](attnlab::Gradients&) {});
    steps.rotate(attnlab::RotateSide::query, rotated);
    for (int sequence = 0; sequence < layer.chunk.sequences(); ++sequence)
      if (layer.chunk.tokens_of(sequence) > 0) choose(layer, sequence, rotated, reads);
    // The choice has no derivative: what was chosen is differentiated as if it had been given.
    const auto& mask = steps.keep<attnlab::ChosenBlocks>(block_, reads);
    steps.attend({.queries = q, .scale = projections_.scale(), .mask = mask}, mixed);
    projections_.project_back(steps, mixed, out);
  }

 private:
  void choose(const attnlab::LayerContext& layer, int sequence, TensorView<const float, 3> queries,
              TensorView<std::uint8_t, 3> reads) const {
    const std::span<const Position> positions = layer.chunk.positions_of(sequence);
    const TensorView<const float, 3> means = means_.of(layer, sequence, positions.back() / block_);
    auto gates = layer.steps.rows(static_cast<std::int64_t>(positions.size()), means.extent(0));
    double gated = 0;
    for (const Position position : positions) gated += static_cast<double>(position / block_ * queries.stride(0));
    attnlab::for_each_index(static_cast<int>(positions.size()), gated, [&](int index) {
      const int token = layer.chunk.first(sequence) + index;
      for (int head = 0; head < projections_.heads(); ++head)
        mark(positions[index] / block_, &queries(token, head, 0), head / projections_.group(), means, gates.row(index),
             reads[token].row(head));
    });
    layer.steps.own_work({.multiply_adds = gated, .bytes = sizeof(float) * static_cast<double>(means.elements())});
  }

  // The own block, and of those before it the ones with the highest gates; of equals the later.
  void mark(int own, const float* query, int kv_head, TensorView<const float, 3> means, std::span<float> gates,
            std::span<std::uint8_t> reads) const {
    for (int block = 0; block < own; ++block)
      gates[block] = std::inner_product(query, query + means.extent(2), &means(block, kv_head, 0), 0.0F);
    reads[own] = 1;
    for (int count = 0; count < std::min(earlier_, own); ++count) {
      int best = -1;
      for (int block = 0; block < own; ++block)
        if (reads[block] == 0 && (best < 0 || !(gates[block] < gates[best]))) best = block;
      reads[best] = 1;
    }
  }

  attnlab::HeadProjections projections_;
  attnlab::BlockMeans means_;
  int block_;
  int earlier_;  // blocks that a query reads beside its own
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Moba, MobaOptions>(
        {.id = "moba",
         .summary = "A query reads its own block of rows and the earlier blocks with the best mean keys.",
         .reference = "arXiv:2502.13189"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "moba", .version = "1.0", .attention = kAttention);
