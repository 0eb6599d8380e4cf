#include "conformance/attend_laws.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include <fmt/ranges.h>

#include "assembly/feeding.h"
#include "choices/plain_components.h"
#include "conformance/storage_laws.h"
#include "core/attend_reference.h"
#include "model/random_weights.h"
#include "parallel/keep_threads.h"
#include "steps/checking_steps.h"
#include "steps/watched_steps.h"
#include "tiles/tile_rotation.h"

namespace attnlab::experiment::conformance {
namespace {

constexpr int kPrompt = 70;  // more than a tile
constexpr int kSteps = 6;

// The same source, with a mass sink of our own to which every query counts.
class Weighed final : public KvSource {
 public:
  explicit Weighed(const KvSource& source) : source_(source) {}
  KvShape shape() const noexcept override { return source_.shape(); }
  KeyForm key_form() const noexcept override { return source_.key_form(); }
  int tiles(int sequence, int kv_head) const noexcept override { return source_.tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return source_.tile(sequence, kv_head, index, scratch);
  }
  const MaskRule* visibility(int sequence) const noexcept override { return source_.visibility(sequence); }
  const TileSelector* selector() const noexcept override { return source_.selector(); }
  MassSink* mass_sink() const noexcept override { return &sums; }

  struct Sums final : MassSink {
    Position first_query(int) const noexcept override { return 0; }
    void add(int sequence, int kv_head, std::span<const float> mass) noexcept override {
      double sum = 0;
      for (const float value : mass) sum += value;
      of.push_back({sequence, kv_head, sum});
    }
    struct Of {
      int sequence, kv_head;
      double sum;
    };
    std::vector<Of> of;
  };
  mutable Sums sums;

 private:
  const KvSource& source_;
};

class Weigh final : public AttendWatcher {
 public:
  void attended(int, const AttendArgs& args, TensorView<const float, 3> out) override {
    if (args.weighting != nullptr || args.row_weighting != nullptr) return;  // no probabilities, so no mass
    ++calls;
    // One kv head after the other, so that the sums need no lock.
    const Weighed source(args.source);
    AttendArgs again{.queries = args.queries,
                     .chunk = args.chunk,
                     .source = source,
                     .scale = args.scale,
                     .rotation = args.rotation,
                     .row_bias = args.row_bias,
                     .hooks = args.hooks,
                     .mask = args.mask,
                     .sink_logits = args.sink_logits,
                     .compute = args.compute};
    std::vector<float> room(out.elements());
    {
      const KeepThreads keep;
      set_threads(1);
      attend(again, {room.data(), {out.extent(0), out.extent(1), out.extent(2)}});
    }
    const double group = static_cast<double>(args.queries.extent(1)) / args.source.shape().kv_heads;
    for (const auto& [sequence, kv_head, sum] : source.sums.of) {
      const double all = group * args.chunk.tokens_of(sequence);
      // A sink logit takes its part; then the sum may only be smaller.
      const double off = args.sink_logits.empty() ? std::abs(sum - all) : std::max(0.0, sum - all);
      deviation = std::isfinite(off) ? std::max(deviation, off / all) : std::numeric_limits<double>::infinity();
    }
    std::size_t i = 0;
    for (std::int64_t token = 0; token < out.extent(0); ++token)
      for (std::int64_t head = 0; head < out.extent(1); ++head)
        for (std::int64_t j = 0; j < out.extent(2); ++j)
          changed |= std::bit_cast<std::uint32_t>(room[i++]) != std::bit_cast<std::uint32_t>(out(token, head, j));
  }
  double deviation = 0;
  bool changed = false;  // asking for the mass must not change the output
  int calls = 0;
};

void run(Subject& subject) {
  (void)subject.run(tokens(kPrompt, 31), tokens(kSteps, 32), 40);
}

constexpr double kRounding = 2e-5;  // of sums of floats

std::optional<Finding> examine_steps(Subject& subject, bool with_formulas) {
  Scratch scratch;
  CheckingSteps steps(scratch, [&](int layer) { return subject.decoder().row_step(layer); });
  {
    const model::WithSteps with(subject.decoder(), steps);
    run(subject);
  }
  std::set<std::string> formulas = steps.formulas();
  if (subject.traits(Kind::position).provides.has(Feature::embedded_positions))
    formulas.insert("unchecked addition to the embeddings");
  if (formulas.empty() == with_formulas) return std::nullopt;
  const StepDeviation& worst = steps.largest();
  std::string what = worst.deviation > kRounding ? worst.text() + "; " : "";
  if (with_formulas)
    what += fmt::format("with the plugins' own {}", fmt::join(formulas, ", "));
  else
    what += fmt::format("{}", fmt::join(steps.independent_steps(), ", "));
  return Finding{worst.deviation, kRounding, what};
}

}  // namespace

std::optional<Finding> agrees_with_slow_reference(Subject& subject, Kind) {
  return examine_steps(subject, false);
}

std::optional<Finding> is_self_consistent(Subject& subject, Kind) {
  return examine_steps(subject, true);
}

std::optional<Finding> mass_sums_up(Subject& subject, Kind kind) {
  if (kind == Kind::position) return std::nullopt;
  Weigh weigh;
  Scratch scratch;
  WatchedSteps steps(scratch, weigh);
  {
    const model::WithSteps with(subject.decoder(), steps);
    run(subject);
  }
  if (weigh.calls == 0) return std::nullopt;
  if (weigh.changed) return Finding{1, 0, "the output changed when the mass was asked for"};
  return Finding{weigh.deviation, 1e-4, ""};
}

namespace {

constexpr int kWindowPrompt = 300;  // tokens; a window of half of them is found

// How far back the queries of a layer see, by position, in all its calls.
class FarthestSeen final : public AttendWatcher {
 public:
  void attended(int layer, const AttendArgs& args, TensorView<const float, 3>) override {
    Position& distance = of_layer[layer];
    for (int head = 0; head < args.queries.extent(1); ++head)
      for (int token = args.chunk.tokens() - 1; token >= kWindowPrompt / 2; token -= 9)
        for (const Position key : seen_positions(args, {token, head}))
          distance = std::max(distance, args.chunk.positions[token] - key);
  }
  std::map<int, Position> of_layer;
};

// In the cache that keeps and shows everything, an attention sees what it says: with a window no key before it; without
// one, keys that are far away.
std::optional<std::string> false_window(Subject& subject) {
  if (subject.parts().cache.id != kPlainCache) return std::nullopt;
  FarthestSeen seen;
  Scratch scratch;
  WatchedSteps steps(scratch, seen);
  {
    const model::WithSteps with(subject.decoder(), steps);
    (void)subject.run(tokens(kWindowPrompt, 43), {});
  }
  for (const auto& [layer, distance] : seen.of_layer) {
    const int window = subject.decoder().attention(layer).visible_window();
    if (window > 0 && distance >= window)
      return fmt::format("visible_window says {} keys, but layer {} sees one {} tokens back", window, layer, distance);
    if (window == 0 && distance < kWindowPrompt / 2)
      return fmt::format("visible_window says that there is none, but layer {} sees no key more than {} tokens back",
                         layer, distance);
  }
  return std::nullopt;
}

// Keys of a tile, turned by the angles of its first row and those of the rows after it, against each by its own.
std::optional<Finding> false_pairs(const Rotation& rotation, const KvShape& shape, Position max_positions) {
  if (rotation.pairs().width == 0) return std::nullopt;
  const int width = shape.key_dim;
  Finding found{0, 1e-5, "pairs() says turned pairs, but keys of a tile are not turned so"};
  for (const Position length : {Position{100}, Position{100000}})
    for (const Position first : {Position{0}, Position{5}, Position{1000}, Position{90000}}) {
      std::vector<Position> positions(kTileRows);
      std::iota(positions.begin(), positions.end(), first);
      if (positions.back() >= length || (max_positions > 0 && positions.back() >= max_positions)) continue;
      std::vector<float> rows(static_cast<std::size_t>(kTileRows) * width), tile(rows.size());
      model::random_values(43, "keys", 0, rows, 1.0F);
      for (int row = 0; row < kTileRows; ++row)
        for (int channel = 0; channel < width; ++channel) tile[channel * kTileRows + row] = rows[row * width + channel];
      Scratch scratch;
      const TileRotation of_tiles(rotation, shape, length, scratch);
      TileRotation::First first_row = of_tiles.make_first(scratch);
      of_tiles.turn(first, first_row, tile.data(), tile.data());
      rotate_columns(rotation, {positions, length, RotateSide::key}, shape, {rows.data(), {kTileRows, 1, width}});
      double largest = 0;
      for (const float number : rows) largest = std::max(largest, std::abs(double{number}));
      for (int row = 0; row < kTileRows; ++row)
        for (int channel = 0; channel < width; ++channel)
          found.deviation =
              std::max(found.deviation,
                       std::abs(double{tile[channel * kTileRows + row]} - rows[row * width + channel]) / largest);
    }
  if (found.deviation <= found.allowed) return std::nullopt;
  return found;
}

}  // namespace

std::optional<Finding> traits_are_true(Subject& subject, Kind kind) {
  model::Decoder& decoder = subject.decoder();
  model::Session session = decoder.make_session(1, 128);
  const KvShape shape = session.shape(0);
  const auto says = [&](Feature feature) { return subject.traits(kind).provides.has(feature); };
  const auto wrong = [](const std::string& what) { return Finding{1, 0, what}; };
  if (kind == Kind::attention) {
    if (says(Feature::kv_rows) != (shape.kv_heads > 0))
      return wrong(shape.kv_heads > 0 ? "keeps rows, but does not provide kv_rows"
                                      : "provides kv_rows, but keeps none");
    if (says(Feature::fixed_state) != (decoder.state_floats(0) > 0 && session.shape(0).kv_heads == 0))
      return wrong("fixed_state does not fit to a state of " + std::to_string(decoder.state_floats(0)) + " numbers");
    if (says(Feature::single_kv_head) && shape.kv_heads != 1)
      return wrong("provides single_kv_head, but has " + std::to_string(shape.kv_heads));
    if (const auto found = false_window(subject)) return wrong(*found);
  }
  if (kind == Kind::position) {
    const PositionScheme& scheme = decoder.position(0);
    if (says(Feature::score_bias) != (scheme.score_bias() != nullptr || scheme.row_bias() != nullptr))
      return wrong("score_bias is not what it does");
    if (says(Feature::row_bias) != (scheme.row_bias() != nullptr)) return wrong("row_bias is not what it does");
    const Position at[] = {3};
    std::vector<float> embedding(decoder.config().hidden_dim, 0.0F);
    scheme.add_to_embeddings(at, {embedding.data(), {1, decoder.config().hidden_dim}});
    const bool adds = std::any_of(embedding.begin(), embedding.end(), [](float value) { return value != 0; });
    if (says(Feature::embedded_positions) != adds) return wrong("embedded_positions is not what it does");
    if (const Rotation* rotation = scheme.rotation(); rotation != nullptr && shape.kv_heads > 0) {
      std::vector<float> near(shape.rotation_width(), 1.0F), far = near;
      rotation->rotate({at, 8, RotateSide::key}, {near.data(), {1, 1, shape.rotation_width()}});
      rotation->rotate({at, 100000, RotateSide::key}, {far.data(), {1, 1, shape.rotation_width()}});
      if (says(Feature::length_dependent_rotation) != (near != far))
        return wrong("length_dependent_rotation is not what it does");
      if (const auto found = false_pairs(*rotation, shape, scheme.max_positions())) return found;
    }
  }
  if (kind == Kind::storage)
    if (const auto found = false_storage_trait(subject)) return found;
  if (kind == Kind::cache) {
    const LayerCache& cache = session.cache(0);
    if (says(Feature::mass_based) != (cache.mass_sink() != nullptr)) return wrong("mass_based is not what it does");
    if (subject.traits(kind).needs.has(Feature::attention_mass) && cache.mass_sink() == nullptr)
      return wrong("needs attention_mass, but never asks for it");
    feed_prompt(decoder, session, 0, tokens(100, 41), 100, {});
    if (!says(Feature::token_eviction) && session.live_rows() < session.appended_rows())
      return wrong("drops rows, but does not provide token_eviction");
    if (!says(Feature::per_head_eviction))
      for (int head = 1; head < shape.kv_heads; ++head)
        if (cache.rows(0, head) != cache.rows(0, 0))
          return wrong("heads keep different numbers of rows, but it does not provide per_head_eviction");
    if (says(Feature::evicts_after_prompt_only))
      for (const model::TokenId& token : tokens(kSteps, 42)) {
        const std::int64_t grown = session.live_rows() + std::int64_t{session.layers()} * shape.kv_heads;
        const model::SequenceTokens fed{.sequence = 0, .tokens = {&token, 1}, .phase = Phase::decode};
        decoder.forward(session, {&fed, 1});
        if (session.live_rows() != grown) return wrong("provides evicts_after_prompt_only, but drops rows in decode");
      }
  }
  return Finding{};
}

}  // namespace attnlab::experiment::conformance
