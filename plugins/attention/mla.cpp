// Multi-head latent attention: a token is cached as one row for all heads, a normalised latent followed by a
// rotated key that all heads share; keys and values of the heads are linear in the latent. DeepSeek-V2, 2024.
// Two forms with the same result: expanded makes keys and values of every head from the cached rows (cheaper where many
// queries share the work), absorbed moves these matrices to the queries and outputs, so that the heads attend to the
// rows themselves (cheaper in decode). YaRN's factor on the scores is part of `scale`, which a checkpoint's config
// gives.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::kTileRows;
using attnlab::Position;
using attnlab::TensorView;

enum class Form : std::uint8_t { automatic, expanded, absorbed };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Form>, 3> attnlab::kChoices<Form>{
    {{"auto", Form::automatic}, {"expanded", Form::expanded}, {"absorbed", Form::absorbed}}};

namespace {

struct MlaOptions {
  std::int32_t kv_lora_rank = 512;
  std::int32_t q_lora_rank = 0;
  std::int32_t qk_nope_head_dim = 128;
  std::int32_t qk_rope_head_dim = 64;
  std::int32_t v_head_dim = 128;
  double scale = 0;
  bool bias = false;
  double norm_eps = 0;
  Form form = Form::automatic;

  static constexpr auto fields() {
    using M = MlaOptions;
    using attnlab::field;
    constexpr int most = 1 << 16;
    return std::tuple{
        field("kv_lora_rank", &M::kv_lora_rank,
              {.min = 1, .max = most, .doc = "Width of the latent.", .from_model = "kv_lora_rank"}),
        field("q_lora_rank", &M::q_lora_rank,
              {.min = 0,
               .max = most,
               .doc = "Width of the compressed queries; 0: queries are not compressed.",
               .from_model = "q_lora_rank"}),
        field("qk_nope_head_dim", &M::qk_nope_head_dim,
              {.min = 1,
               .max = most,
               .doc = "Channels of a key that come from the latent, without positions.",
               .from_model = "qk_nope_head_dim"}),
        field("qk_rope_head_dim", &M::qk_rope_head_dim,
              {.min = 1,
               .max = most,
               .doc = "Channels of the key that all heads share, which carry the position.",
               .from_model = "qk_rope_head_dim"}),
        field("v_head_dim", &M::v_head_dim,
              {.min = 1, .max = most, .doc = "Channels of a head's value.", .from_model = "v_head_dim"}),
        field("scale", &M::scale,
              {.min = 0,
               .doc = "Factor of the scores; 0: 1/sqrt(qk_nope_head_dim + qk_rope_head_dim).",
               .from_model = "latent_scale"}),
        field("bias", &M::bias,
              {.doc = "Biases on the projections from and to the hidden state.", .from_model = "latent_bias"}),
        field("norm_eps", &M::norm_eps,
              {.min = 0, .doc = "Epsilon of the inner norms; 0: the model's.", .from_model = "latent_norm_eps"}),
        field(
            "form", &M::form,
            {.doc = "auto: expanded for a sequence that gets more than one token at once, else absorbed. A cache that "
                    "uses attention weights or queries always gets the absorbed form, which attends to the cached "
                    "rows themselves."})};
  }
};

// Shapes of a layer, by the names of the paper's code.
struct Dims {
  int heads, latent, nope, rope, value;
  int key() const { return nope + rope; }    // of a head
  int row() const { return latent + rope; }  // cached
  int pair() const { return nope + value; }  // what a head gets from the latent
};

// Tokens of sequences first .. end of a chunk; the others have none.
struct Part {
  Part(const Part&) = delete;  // the view points to the offsets of this object
  Part(const attnlab::ChunkView& chunk, int first, int end) : first_token(chunk.offsets[first]) {
    for (const std::int32_t offset : chunk.offsets)
      offsets.push_back(std::clamp(offset, chunk.offsets[first], chunk.offsets[end]) - first_token);
    view = {offsets, chunk.positions.subspan(first_token, offsets.back()), chunk.phases, chunk.lengths};
  }
  int first_token;
  std::vector<std::int32_t> offsets;
  attnlab::ChunkView view;
};

// Keys and values of all heads, made from the cached rows of one sequence.
class ExpandedRows final : public attnlab::KvSource {
 public:
  ExpandedRows(const Dims& dims, int sequence, const attnlab::LayerContext& layer)
      : dims_(dims), sequence_(sequence), visibility_(layer.cache.visibility(sequence)) {
    gather(layer);
  }

  // kv_b [heads * (nope + value), latent]
  void expand(const attnlab::Matrix& kv_b, attnlab::Steps& steps) {
    const int tiles = static_cast<int>(tiles_.size());
    keys_ = steps.rows(std::int64_t{tiles} * dims_.heads, std::int64_t{dims_.key()} * kTileRows);
    values_ = steps.rows(std::int64_t{tiles} * dims_.heads, std::int64_t{kTileRows} * dims_.value);
    const attnlab::Steps::Scope scope(steps);
    auto pairs = steps.rows(std::int64_t{kTilesAtOnce} * kTileRows, dims_.heads, dims_.pair());
    for (int first = 0; first < tiles; first += kTilesAtOnce) {
      const int count = std::min(kTilesAtOnce, tiles - first);
      const int first_row = tiles_[first].first;
      const int rows = tiles_[first + count - 1].first + tiles_[first + count - 1].rows - first_row;
      const TensorView<const float, 2> latents{rows_.row(first_row).data(), {rows, dims_.latent}, {dims_.row(), 1}};
      steps.project(latents, {kv_b, flat(pairs.slice(0, rows))});
      attnlab::for_each_index(count * dims_.heads, [&](int index) {
        const int tile = first + index / dims_.heads;
        pack(tile, index % dims_.heads, pairs.slice(tiles_[tile].first - first_row, tiles_[tile].rows));
      });
    }
  }

  // The core rotates queries by it; the keys are rotated already.
  attnlab::KvShape shape() const noexcept override {
    return {.kv_heads = dims_.heads,
            .key_dim = dims_.key(),
            .value_dim = dims_.value,
            .rotated_first = dims_.nope,
            .rotated_width = dims_.rope};
  }
  attnlab::KeyForm key_form() const noexcept override { return attnlab::KeyForm::rotated; }
  const attnlab::MaskRule* visibility(int) const noexcept override { return visibility_; }
  int tiles(int sequence, int) const noexcept override {
    return sequence == sequence_ ? static_cast<int>(tiles_.size()) : 0;
  }
  attnlab::KvTile tile(int, int head, int index, attnlab::TileScratch&) const noexcept override {
    const Tile& from = tiles_[index];
    const std::int64_t at = std::int64_t{index} * dims_.heads + head;
    attnlab::KvTile tile;
    tile.keys = {keys_.row(at).data(), {from.rows, dims_.key()}, {1, kTileRows}};
    tile.values = {values_.row(at).data(), {from.rows, dims_.value}};
    tile.positions = std::span(positions_).subspan(from.first, from.rows);
    tile.range = from.range;
    tile.query_cap = from.query_cap;
    return tile;
  }

 private:
  static constexpr int kTilesAtOnce = 8;  // 512 rows: enough for the product, few enough to stay in the caches

  // Rows that queries meet alike, up to kTileRows.
  struct Tile {
    int first;
    int rows;
    attnlab::PositionRange range;
    Position query_cap;
  };

  // The cached rows side by side; small tiles become larger ones. The shared key is turned here, once for all heads.
  void gather(const attnlab::LayerContext& layer) {
    const attnlab::LayerCache& cache = layer.cache;
    const int row_dim = dims_.row();
    rows_ = layer.steps.rows(cache.rows(sequence_, 0), row_dim);
    const attnlab::Steps::Scope scope(layer.steps);
    std::array<Position, kTileRows> positions;
    attnlab::TileScratch room{layer.steps.floats(std::int64_t{row_dim} * kTileRows),
                              layer.steps.floats(std::int64_t{kTileRows} * dims_.latent), positions};
    for (int index = 0; index < cache.tiles(sequence_, 0); ++index) {
      const attnlab::KvTile tile = cache.tile(sequence_, 0, index, room);
      if (tile.rows() == 0) continue;
      const int first = static_cast<int>(positions_.size());
      attnlab::read_tile(tile, rows_.slice(first, tile.rows()), {});
      positions_.insert(positions_.end(), tile.positions.begin(), tile.positions.end());
      const bool joins =
          !tiles_.empty() && tiles_.back().query_cap == tile.query_cap && tiles_.back().rows + tile.rows() <= kTileRows;
      if (!joins) tiles_.push_back({first, 0, {}, tile.query_cap});
      tiles_.back().rows += tile.rows();
      tiles_.back().range.include(tile.range.first);
      tiles_.back().range.include(tile.range.last);
    }
    const attnlab::Rotation* rotation = layer.position.rotation();
    if (rotation == nullptr || cache.key_form() == attnlab::KeyForm::rotated) return;
    rotation->rotate({positions_, layer.chunk.lengths[sequence_], attnlab::RotateSide::key},
                     {rows_.data() + dims_.latent,
                      {static_cast<std::int64_t>(positions_.size()), 1, dims_.rope},
                      {row_dim, row_dim, 1}});
  }

  // pairs [rows, heads, nope + value] -> keys by channel and values of one head
  void pack(int tile, int head, TensorView<const float, 3> pairs) const {
    const std::int64_t at = std::int64_t{tile} * dims_.heads + head;
    float* keys = keys_.row(at).data();
    float* values = values_.row(at).data();
    for (int row = 0; row < tiles_[tile].rows; ++row) {
      const float* pair = &pairs(row, head, 0);
      const float* shared = rows_.row(tiles_[tile].first + row).data() + dims_.latent;
      for (int i = 0; i < dims_.nope; ++i) keys[i * kTileRows + row] = pair[i];
      for (int i = 0; i < dims_.rope; ++i) keys[(dims_.nope + i) * kTileRows + row] = shared[i];
      std::copy_n(pair + dims_.nope, dims_.value, values + row * dims_.value);
    }
    // Read to the end of the tile, and not used.
    for (int i = 0; i < dims_.key(); ++i)
      std::fill(keys + i * kTileRows + tiles_[tile].rows, keys + (i + 1) * kTileRows, 0.0F);
  }

  Dims dims_;
  int sequence_;
  const attnlab::MaskRule* visibility_;
  std::vector<Tile> tiles_;
  std::vector<Position> positions_;  // [rows]
  TensorView<float, 2> rows_;        // [rows, latent + rope]
  TensorView<float, 2> keys_;        // [tiles * heads, (nope + rope) * kTileRows]
  TensorView<float, 2> values_;      // [tiles * heads, kTileRows * value]
};

class Mla final : public attnlab::AttentionVariant {
 public:
  Mla(const MlaOptions& options, const attnlab::CreateContext& context)
      : dims_{context.heads, options.kv_lora_rank, options.qk_nope_head_dim, options.qk_rope_head_dim,
              options.v_head_dim},
        q_rank_(options.q_lora_rank),
        hidden_dim_(context.hidden_dim),
        eps_(options.norm_eps > 0 ? static_cast<float>(options.norm_eps) : context.rms_norm_eps),
        has_bias_(options.bias),
        form_(options.form),
        scale_(options.scale > 0 ? static_cast<float>(options.scale)
                                 : 1.0F / std::sqrt(static_cast<float>(dims_.key()))) {}

  static attnlab::Traits traits(const MlaOptions&) {
    return {.provides = {attnlab::Feature::kv_rows, attnlab::Feature::attention_mass, attnlab::Feature::single_kv_head},
            .excludes = {attnlab::Feature::row_bias}};  // its queries meet latents, not keys
  }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    const auto values = attnlab::ParameterForm::values;
    const auto ones = attnlab::Init::ones;
    const std::int64_t q_width = std::int64_t{dims_.heads} * dims_.key();
    std::vector<attnlab::ParameterSpec> specs;
    if (q_rank_ > 0) {
      specs.push_back({.name = "q_a_proj.weight", .shape = {q_rank_, hidden_dim_}});
      specs.push_back({.name = "q_a_layernorm.weight", .shape = {q_rank_}, .form = values, .init = ones});
      specs.push_back({.name = "q_b_proj.weight", .shape = {q_width, q_rank_}});
    } else {
      specs.push_back({.name = "q_proj.weight", .shape = {q_width, hidden_dim_}});
    }
    specs.push_back({.name = "kv_a_proj_with_mqa.weight", .shape = {dims_.row(), hidden_dim_}});
    specs.push_back({.name = "kv_a_layernorm.weight", .shape = {dims_.latent}, .form = values, .init = ones});
    specs.push_back({.name = "kv_b_proj.weight",
                     .shape = {std::int64_t{dims_.heads} * dims_.pair(), dims_.latent},
                     .form = values});
    specs.push_back({.name = "o_proj.weight", .shape = {hidden_dim_, std::int64_t{dims_.heads} * dims_.value}});
    if (!has_bias_) return specs;
    if (q_rank_ > 0) specs.push_back({.name = "q_a_proj.bias", .shape = {q_rank_}, .form = values});
    specs.push_back({.name = "kv_a_proj_with_mqa.bias", .shape = {dims_.row()}, .form = values});
    specs.push_back({.name = "o_proj.bias", .shape = {hidden_dim_}, .form = values});
    return specs;
  }

  void bind(const attnlab::ParameterSet& parameters) override {
    if (q_rank_ > 0) {
      q_a_proj_ = &parameters.matrix("q_a_proj.weight");
      q_a_norm_ = parameters.values("q_a_layernorm.weight");
    }
    q_proj_ = &parameters.matrix(q_rank_ > 0 ? "q_b_proj.weight" : "q_proj.weight");
    kv_a_proj_ = &parameters.matrix("kv_a_proj_with_mqa.weight");
    kv_a_norm_ = parameters.values("kv_a_layernorm.weight");
    o_proj_ = &parameters.matrix("o_proj.weight");
    if (has_bias_) {
      if (q_rank_ > 0) q_a_bias_ = parameters.values("q_a_proj.bias");
      kv_a_bias_ = parameters.values("kv_a_proj_with_mqa.bias");
      o_bias_ = parameters.values("o_proj.bias");
    }
    const std::span<const float> kv_b = parameters.values("kv_b_proj.weight");
    if (form_ != Form::absorbed) kv_b_proj_.emplace_back(kv_b, std::int64_t{dims_.heads} * dims_.pair(), dims_.latent);
    for (int head = 0; head < dims_.heads; ++head) {
      const auto of_head = kv_b.subspan(static_cast<std::size_t>(head) * dims_.pair() * dims_.latent);
      key_part_.emplace_back(of_head.first(static_cast<std::size_t>(dims_.nope) * dims_.latent), dims_.latent,
                             dims_.nope, attnlab::PackedFrom::columns);
      value_part_.emplace_back(of_head.subspan(static_cast<std::size_t>(dims_.nope) * dims_.latent,
                                               static_cast<std::size_t>(dims_.value) * dims_.latent),
                               dims_.value, dims_.latent);
    }
  }

  void refresh() override {
    for (auto* matrices : {&kv_b_proj_, &key_part_, &value_part_})
      for (attnlab::PackedMatrix& matrix : *matrices) matrix.refresh();
  }

  attnlab::KvShape kv_shape() const override {
    return {.kv_heads = 1,
            .key_dim = dims_.row(),
            .value_dim = dims_.latent,
            .value_is_key_prefix = true,
            .rotated_first = dims_.latent,
            .rotated_width = dims_.rope};
  }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    const attnlab::ChunkView& chunk = layer.chunk;
    const int tokens = chunk.tokens();
    attnlab::Steps& steps = layer.steps;
    auto q = steps.rows(tokens, dims_.heads, dims_.key());
    auto rows = steps.rows(tokens, 1, dims_.row());
    auto mixed = steps.rows(tokens, dims_.heads, dims_.value);

    project_queries(steps, hidden, q);
    steps.project(hidden, {*kv_a_proj_, flat(rows), kv_a_bias_});
    const TensorView<float, 3> latent{rows.data(), {tokens, 1, dims_.latent}, {dims_.row(), dims_.row(), 1}};
    steps.norm(latent, kv_a_norm_, eps_, latent);
    steps.append(rows, latent);
    // Neighbours that attend in the same form go together, except that an expanded sequence is alone: its keys and
    // values are large, and the next one's take their place.
    for (int first = 0; first < chunk.sequences();) {
      int end = first + 1;
      const bool expands = is_expanded(layer, first);
      while (!expands && end < chunk.sequences() && !is_expanded(layer, end)) ++end;
      const Part part(chunk, first, end);
      const auto of_q = q.slice(part.first_token, part.view.tokens());
      const auto of_mixed = mixed.slice(part.first_token, part.view.tokens());
      if (expands)
        attend_expanded(layer, part.view, first, of_q, of_mixed);
      else if (part.view.tokens() > 0)
        attend_absorbed(layer, part.view, of_q, of_mixed);
      first = end;
    }
    steps.project(flat(mixed), {*o_proj_, out, o_bias_});
  }

 private:
  bool is_expanded(const attnlab::LayerContext& layer, int sequence) const {
    const attnlab::LayerCache& cache = layer.cache;
    // The absorbed form is made of steps, so it has a derivative: the same, since the results are.
    if (layer.steps.records()) return false;
    if (form_ == Form::absorbed || cache.mass_sink() != nullptr || cache.query_sink() != nullptr ||
        cache.selector() != nullptr)
      return false;
    return layer.chunk.tokens_of(sequence) > (form_ == Form::expanded ? 0 : 1);
  }

  void project_queries(attnlab::Steps& steps, TensorView<const float, 2> hidden, TensorView<float, 3> q) const {
    if (q_rank_ == 0) return steps.project(hidden, {*q_proj_, flat(q)});
    auto compressed = steps.rows(hidden.extent(0), 1, q_rank_);
    steps.project(hidden, {*q_a_proj_, flat(compressed), q_a_bias_});
    steps.norm(compressed, q_a_norm_, eps_, compressed);
    steps.project(flat(compressed), {*q_proj_, flat(q)});
  }

  // q [tokens, heads, nope + rope] -> mixed [tokens, heads, value], over the source's rows.
  void attend_to(const attnlab::LayerContext& layer, const attnlab::ChunkView& chunk, const attnlab::KvSource& source,
                 TensorView<const float, 3> queries, TensorView<float, 3> mixed) const {
    layer.steps.attend({.queries = queries, .scale = scale_, .mask = mask_, .source = &source, .chunk = &chunk}, mixed);
  }

  void attend_expanded(const attnlab::LayerContext& layer, const attnlab::ChunkView& chunk, int sequence,
                       TensorView<float, 3> q, TensorView<float, 3> mixed) const {
    const attnlab::Steps::Scope scope(layer.steps);
    ExpandedRows rows(dims_, sequence, layer);
    rows.expand(kv_b_proj_.front(), layer.steps);
    layer.steps.own_work({.bytes = sizeof(float) * static_cast<double>(layer.cache.rows(sequence, 0)) * dims_.row()});
    attend_to(layer, chunk, rows, q, mixed);
  }

  void attend_absorbed(const attnlab::LayerContext& layer, const attnlab::ChunkView& chunk, TensorView<float, 3> q,
                       TensorView<float, 3> mixed) const {
    attnlab::Steps& steps = layer.steps;
    const attnlab::Steps::Scope scope(steps);
    const int tokens = chunk.tokens();
    auto queries = steps.rows(tokens, dims_.heads, dims_.row());
    auto latents = steps.rows(tokens, dims_.heads, dims_.latent);
    for (int token = 0; token < tokens; ++token)
      for (int head = 0; head < dims_.heads; ++head)
        std::copy_n(&q(token, head, dims_.nope), dims_.rope, &queries(token, head, dims_.latent));
    steps.custom({.reads = {all_of(q)}, .writes = {all_of(queries)}}, [this, q, queries](attnlab::Gradients& of) {
      const auto of_q = of.of(q), of_queries = of.of(queries);
      for (std::int64_t token = 0; token < q.extent(0); ++token)
        for (int head = 0; head < dims_.heads; ++head)
          for (int i = 0; i < dims_.rope; ++i)
            of_q(token, head, dims_.nope + i) += of_queries(token, head, dims_.latent + i);
    });
    for (int head = 0; head < dims_.heads; ++head)
      steps.project(columns(q, head, 0, dims_.nope), {key_part_[head], columns(queries, head, 0, dims_.latent)});
    attend_to(layer, chunk, layer.cache, queries, latents);
    for (int head = 0; head < dims_.heads; ++head)
      steps.project(columns(latents, head, 0, dims_.latent), {value_part_[head], columns(mixed, head, 0, dims_.value)});
  }

  // [tokens, heads, width] -> [tokens, count] of one head
  static TensorView<float, 2> columns(TensorView<float, 3> rows, int head, int first, int count) {
    return {rows.data() + head * rows.stride(1) + first, {rows.extent(0), count}, {rows.stride(0), 1}};
  }

  Dims dims_;
  int q_rank_;
  int hidden_dim_;
  float eps_;
  bool has_bias_;
  Form form_;
  float scale_;
  attnlab::CausalMask mask_;
  const attnlab::Matrix* q_a_proj_ = nullptr;      // [q_rank, hidden_dim]
  const attnlab::Matrix* q_proj_ = nullptr;        // [heads * (nope + rope), q_rank or hidden_dim]
  const attnlab::Matrix* kv_a_proj_ = nullptr;     // [latent + rope, hidden_dim]
  const attnlab::Matrix* o_proj_ = nullptr;        // [hidden_dim, heads * value]
  std::span<const float> q_a_norm_;                // [q_rank]
  std::span<const float> kv_a_norm_;               // [latent]
  std::span<const float> q_a_bias_;                // [q_rank], as the others empty without biases
  std::span<const float> kv_a_bias_;               // [latent + rope]
  std::span<const float> o_bias_;                  // [hidden_dim]
  std::vector<attnlab::PackedMatrix> kv_b_proj_;   // one, or none: [heads * (nope + value), latent]
  std::vector<attnlab::PackedMatrix> key_part_;    // [heads] of [latent, nope]
  std::vector<attnlab::PackedMatrix> value_part_;  // [heads] of [value, latent]
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Mla, MlaOptions>(
        {.id = "mla",
         .summary = "One cached latent row for all heads, from which their keys and values are made.",
         .reference = "arXiv:2405.04434"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "mla", .version = "1.0", .attention = kAttention);
