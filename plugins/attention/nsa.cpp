// Native sparse attention: a query head reads means of blocks of rows, the blocks that these show to matter, and the
// newest rows, in three attentions with a gate each. Yuan et al. 2025, as flash-linear-attention has it: the three
// share keys and values, a block is compressed to its plain mean, and compressed and selected blocks are the same. One
// selection a kv head; the first block, the own and the one before it are always read. Means of complete blocks are
// kept, so that a step reads only the rows that it chose. Not here: compression by a learned network, blocks that
// overlap, caches that drop rows, since a later query may choose any block.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include <attnlab/block_means.h>
#include <attnlab/chosen_blocks.h>
#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::Position;
using attnlab::TensorView;

constexpr int kBranches = 3;  // compressed, selected, sliding
using Branches = std::array<TensorView<float, 3>, kBranches>;

struct NsaOptions {
  std::int32_t block = 64;
  std::int32_t top_k = 16;
  std::int32_t window = 512;
  static constexpr auto fields() {
    using N = NsaOptions;
    return std::tuple{
        attnlab::field("block", &N::block, {.min = 1, .unit = "tokens", .doc = "Rows of a block, from position 0."}),
        attnlab::field(
            "top_k", &N::top_k,
            {.min = 3, .max = 4096, .doc = "Blocks a query reads: the first, its own, the one before, others."}),
        attnlab::field(
            "window", &N::window,
            {.min = 1, .unit = "tokens", .doc = "Newest rows that the sliding branch sees, the own one too."})};
  }
};

float sigmoid(float x) {
  return 1 / (1 + std::exp(-x));
}

// x = softmax(x)
void softmax(std::span<float> x) {
  if (x.empty()) return;
  const float largest = std::ranges::max(x);
  for (float& number : x) number -= largest;
  attnlab::exponentials(x);
  float sum = 0;
  for (const float number : x) sum += number;
  for (float& number : x) number /= sum;
}

class Nsa final : public attnlab::AttentionVariant {
 public:
  Nsa(const NsaOptions& options, const attnlab::CreateContext& context)
      : projections_(context.kv_heads, context),
        means_(options.block, projections_.kv_shape(), attnlab::BlockMeans::Of::keys_and_values),
        sliding_(options.window),
        block_(options.block),
        top_k_(options.top_k) {}
  // A bias of scores by position has no position for a mean of rows.
  static attnlab::Traits traits(const NsaOptions&) {
    return {.provides = {Feature::kv_rows},
            .excludes = {Feature::token_eviction, Feature::selects_tiles, Feature::unrotated_store,
                         Feature::whole_groups, Feature::score_bias}};
  }
  std::vector<attnlab::ParameterSpec> parameters() const override {
    std::vector<attnlab::ParameterSpec> specs = projections_.parameters();
    specs.push_back({.name = "g_proj.weight", .shape = {kBranches * heads_, projections_.hidden_dim()}});
    return specs;
  }
  void bind(const attnlab::ParameterSet& parameters) override {
    projections_.bind(parameters);
    g_proj_ = &parameters.matrix("g_proj.weight");
  }
  attnlab::KvShape kv_shape() const override { return projections_.kv_shape(); }
  std::int64_t summary_floats(int tokens) const override { return means_.floats(tokens); }
  int visible_rows() const override {
    return static_cast<int>(std::min(std::int64_t{top_k_} * block_ + sliding_.window(), std::int64_t{0x7fffffff}));
  }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const std::int64_t tokens = layer.chunk.tokens();
    const std::int64_t blocks = std::ranges::max(layer.chunk.positions) / block_ + 1;
    auto gates = steps.rows(tokens, kBranches * heads_);  // before the sigmoid, of each head its branches
    const attnlab::Projection gate{*g_proj_, gates};
    const auto [q, k, v] = projections_.project(steps, hidden, {&gate, 1});
    auto rotated = steps.rows(tokens, heads_, head_dim_);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    const Branches parts{steps.rows(tokens, heads_, head_dim_), steps.rows(tokens, heads_, head_dim_),
                         steps.rows(tokens, heads_, head_dim_)};
    auto* marks = reinterpret_cast<std::uint8_t*>(steps.floats(tokens * heads_ * blocks / 4 + 1).data());
    std::fill_n(marks, tokens * heads_ * blocks, 0);
    const TensorView<std::uint8_t, 3> reads(marks, {tokens, heads_, blocks});
    steps.append(k, v);
    std::copy_n(q.data(), q.elements(), rotated.data());
    steps.custom({.reads = {all_of(q)}, .writes = {all_of(rotated)}}, [q = q, rotated](attnlab::Gradients& of) {
      const TensorView<float, 3> from = of.of(rotated), to = of.of(q);
      std::transform(to.data(), to.data() + to.elements(), from.data(), to.data(), std::plus<>());
    });
    steps.rotate(attnlab::RotateSide::query, rotated);
    for (int sequence = 0; sequence < layer.chunk.sequences(); ++sequence)
      if (layer.chunk.tokens_of(sequence) > 0) compress(layer, sequence, rotated, parts[0], reads);
    steps.custom({.reads = {all_of(rotated), all_of(k), all_of(v)}, .writes = {all_of(parts[0])}},
                 [this, rotated, k = k, v = v, out = parts[0], chunk = layer.chunk](attnlab::Gradients& of) {
                   const Rows rows{rotated, k, v, out};
                   const Rows gradients{of.of(rotated), of.of(k), of.of(v), of.of(out)};
                   attnlab::for_each_index(chunk.sequences() * projections_.kv_heads(), [&](int index) {
                     const int sequence = index / projections_.kv_heads();
                     undo_compressed(chunk.first(sequence), chunk.tokens_of(sequence), index % projections_.kv_heads(),
                                     rows, gradients);
                   });
                 });
    // The choice has no derivative: what was chosen is differentiated as if it had been given.
    const auto& chosen = steps.keep<attnlab::ChosenBlocks>(block_, reads);
    steps.attend({.queries = q, .scale = projections_.scale(), .mask = chosen}, parts[1]);
    steps.attend({.queries = q, .scale = projections_.scale(), .mask = sliding_}, parts[2]);
    mix(gates, parts, mixed);
    steps.custom(
        {.reads = {all_of(gates), all_of(parts[0]), all_of(parts[1]), all_of(parts[2])}, .writes = {all_of(mixed)}},
        [this, gates, parts, mixed](attnlab::Gradients& of) {
          undo_mix(gates, parts, of.of(mixed), of.of(gates), {of.of(parts[0]), of.of(parts[1]), of.of(parts[2])});
        });
    projections_.project_back(steps, mixed, out);
  }

 private:
  struct Rows {
    TensorView<float, 3> q;    // [tokens, heads, d], rotated
    TensorView<float, 3> k;    // [tokens, kv_heads, d], rotated
    TensorView<float, 3> v;    // [tokens, kv_heads, d]
    TensorView<float, 3> out;  // [tokens, heads, d], of the compressed branch
  };

  // Blocks that a query at this position sees compressed: those that are complete.
  [[nodiscard]] int complete(Position position) const { return (position + 1) / block_; }

  // The compressed branch of a sequence, and the blocks that its queries choose by it.
  void compress(const attnlab::LayerContext& layer, int sequence, TensorView<const float, 3> queries,
                TensorView<float, 3> out, TensorView<std::uint8_t, 3> reads) const {
    const attnlab::Steps::Scope scope(layer.steps);
    const std::span<const Position> positions = layer.chunk.positions_of(sequence);
    const TensorView<const float, 3> means = means_.of(layer, sequence, complete(positions.back()));
    const auto tokens = static_cast<std::int64_t>(positions.size());
    auto weights = layer.steps.rows(tokens, means.extent(0)), chances = layer.steps.rows(tokens, means.extent(0));
    attnlab::for_each_index(static_cast<int>(tokens), [&](int index) {
      const int token = layer.chunk.first(sequence) + index;
      const auto seen = static_cast<std::size_t>(complete(positions[index]));
      const std::span<float> of_head = weights.row(index).first(seen), chance = chances.row(index).first(seen);
      for (int kv_head = 0; kv_head < projections_.kv_heads(); ++kv_head) {
        std::ranges::fill(chance, 0.0F);
        const int first_head = kv_head * projections_.group();
        for (int head = first_head; head < first_head + projections_.group(); ++head) {
          weigh(&queries(token, head, 0), kv_head, means, of_head);
          float* const to = &out(token, head, 0);
          std::fill_n(to, head_dim_, 0.0F);
          for (std::size_t block = 0; block < seen; ++block) {
            chance[block] += of_head[block];
            const float* const value = &means(block, kv_head, head_dim_);
            for (int i = 0; i < head_dim_; ++i) to[i] += of_head[block] * value[i];
          }
        }
        choose(positions[index] / block_, chance, reads[token].row(first_head));
        for (int member = 1; member < projections_.group(); ++member)
          std::ranges::copy(reads[token].row(first_head), reads[token].row(first_head + member).begin());
      }
    });
    double pairs = 0;
    for (const Position position : positions) pairs += complete(position);
    layer.steps.own_work({.multiply_adds = 2 * pairs * static_cast<double>(queries.stride(0)),
                          .bytes = sizeof(float) * static_cast<double>(means.elements())});
  }

  void weigh(const float* query, int kv_head, TensorView<const float, 3> means, std::span<float> weights) const {
    for (std::size_t block = 0; block < weights.size(); ++block)
      weights[block] = projections_.scale() * attnlab::dot_product(query, &means(block, kv_head, 0), head_dim_);
    softmax(weights);
  }

  // The first block, the own, the one before it, and of the others those with the highest chances; of equals the later.
  void choose(int own, std::span<const float> chances, std::span<std::uint8_t> reads) const {
    reads[0] = reads[own] = reads[std::max(0, own - 1)] = 1;
    for (int count = std::min(own + 1, 3); count < std::min(own + 1, top_k_); ++count) {
      int best = -1;
      for (int block = 1; block < own - 1; ++block)
        if (reads[block] == 0 && (best < 0 || !(chances[block] < chances[best]))) best = block;
      reads[best] = 1;
    }
  }

  // Of a sequence that is here from its beginning, for the query heads of one kv head.
  void undo_compressed(int first, int tokens, int kv_head, const Rows& rows, const Rows& of) const {
    const int blocks = tokens / block_, d = head_dim_;
    std::vector<float> means(std::size_t{2} * blocks * d), of_means(means.size()), weights(blocks), slopes(blocks);
    const auto for_rows = [&](const auto& body) {  // body(mean of the block, row, i)
      for (int row = 0; row < blocks * block_; ++row)
        for (int i = 0; i < d; ++i) body(std::size_t{2} * (row / block_) * d + i, first + row, i);
    };
    const float share = 1 / static_cast<float>(block_);
    for_rows([&](std::size_t mean, int token, int i) {
      means[mean] += share * rows.k(token, kv_head, i);
      means[mean + d] += share * rows.v(token, kv_head, i);
    });
    const TensorView<const float, 3> view(means.data(), {blocks, 1, 2 * d});
    for (int token = 0; token < tokens; ++token) {
      const int seen = complete(token);
      const int first_head = kv_head * projections_.group();
      for (int head = first_head; head < first_head + projections_.group() && seen > 0; ++head) {
        const float* const query = &rows.q(first + token, head, 0);
        const float* const of_out = &of.out(first + token, head, 0);
        float* const of_query = &of.q(first + token, head, 0);
        weigh(query, 0, view, std::span(weights).first(seen));
        float mean_slope = 0;
        for (int block = 0; block < seen; ++block) {
          slopes[block] = attnlab::dot_product(of_out, &means[std::size_t{2} * block * d + d], d);
          mean_slope += weights[block] * slopes[block];
        }
        for (int block = 0; block < seen; ++block) {
          const float of_score = projections_.scale() * weights[block] * (slopes[block] - mean_slope);
          float* const of_mean = &of_means[std::size_t{2} * block * d];
          for (int i = 0; i < d; ++i) {
            of_query[i] += of_score * means[std::size_t{2} * block * d + i];
            of_mean[i] += of_score * query[i];
            of_mean[d + i] += weights[block] * of_out[i];
          }
        }
      }
    }
    for_rows([&](std::size_t mean, int token, int i) {
      of.k(token, kv_head, i) += share * of_means[mean];
      of.v(token, kv_head, i) += share * of_means[mean + d];
    });
  }

  void mix(TensorView<const float, 2> gates, const Branches& parts, TensorView<float, 3> mixed) const {
    attnlab::for_each_index(static_cast<int>(gates.extent(0)), [&](int token) {
      for (int head = 0; head < heads_; ++head) {
        float* const to = &mixed(token, head, 0);
        std::fill_n(to, head_dim_, 0.0F);
        for (int branch = 0; branch < kBranches; ++branch) {
          const float gate = sigmoid(gates(token, kBranches * head + branch));
          const float* const from = &parts[branch](token, head, 0);
          for (int i = 0; i < head_dim_; ++i) to[i] += gate * from[i];
        }
      }
    });
  }
  void undo_mix(TensorView<const float, 2> gates, const Branches& parts, TensorView<const float, 3> of_mixed,
                TensorView<float, 2> of_gates, const Branches& of_parts) const {
    attnlab::for_each_index(static_cast<int>(gates.extent(0)), [&](int token) {
      for (int head = 0; head < heads_; ++head)
        for (int branch = 0; branch < kBranches; ++branch) {
          const float gate = sigmoid(gates(token, kBranches * head + branch));
          const float* const of_out = &of_mixed(token, head, 0);
          float* const of_part = &of_parts[branch](token, head, 0);
          of_gates(token, kBranches * head + branch) +=
              gate * (1 - gate) * attnlab::dot_product(of_out, &parts[branch](token, head, 0), head_dim_);
          for (int i = 0; i < head_dim_; ++i) of_part[i] += gate * of_out[i];
        }
    });
  }

  attnlab::HeadProjections projections_;
  int heads_ = projections_.heads(), head_dim_ = projections_.head_dim();
  attnlab::BlockMeans means_;
  attnlab::CausalMask sliding_;
  int block_, top_k_;
  const attnlab::Matrix* g_proj_ = nullptr;  // [3 heads, hidden_dim]: rows 3h .. 3h + 2 are those of head h
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Nsa, NsaOptions>(
        {.id = "nsa",
         .summary = "Means of blocks, the blocks that these show to matter, and the newest rows, each with a gate.",
         .reference = "arXiv:2502.11089"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "nsa", .version = "1.0", .attention = kAttention);
