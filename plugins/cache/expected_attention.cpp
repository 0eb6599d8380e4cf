// Expected attention: the attention of future queries is estimated from the queries of the prompt, as a normal
// distribution rotated to the average of the next positions; once, at the end of the prompt. Devoto et al. 2025.
// A row's score is its expected weight, times the norm of its value. Decode appends and never evicts.
// Not here: the authors' epsilon beside the weight, which is 0 in their defaults too.
#include <cmath>

#include <attnlab/observed_window.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::ChunkView;
using attnlab::Feature;
using attnlab::Position;
using attnlab::Protect;

struct ExpectedAttentionOptions : attnlab::ProtectOptions {
  attnlab::Budget budget = 256;
  std::int32_t future = 512;
  std::int32_t sinks = 4;

  static constexpr auto fields() {
    using E = ExpectedAttentionOptions;
    return std::tuple_cat(
        std::tuple{
            attnlab::field("budget", &E::budget, {.doc = "Rows that stay after the prompt, the sinks included."}),
            attnlab::field(
                "future", &E::future,
                {.min = 1, .unit = "tokens", .doc = "Positions after the prompt over which rotations are averaged."}),
            attnlab::field("sinks", &E::sinks,
                           {.min = 0,
                            .unit = "tokens",
                            .doc = "First tokens that stay and whose queries are no part of the estimate."})},
        attnlab::ProtectOptions::fields());
  }
  Protect protected_rows() const { return protect({.first = sinks}); }
  static void check(const ExpectedAttentionOptions& options, attnlab::Problems& problems) {
    attnlab::check_protected(options.budget, options.protected_rows(), problems);
  }
};

// Running sums for mean and covariance of the queries of one head.
struct QuerySums {
  std::int64_t queries = 0;
  std::vector<double> sum;      // [key_dim]
  std::vector<double> product;  // [key_dim, key_dim] of each query with itself, from the diagonal to the right

  void add(std::span<const double> query) {
    const std::size_t width = query.size();
    sum.resize(width);
    product.resize(width * width);
    ++queries;
    for (std::size_t i = 0; i < width; ++i) {
      sum[i] += query[i];
      double* row = product.data() + i * width;
      for (std::size_t j = i; j < width; ++j) row[j] += query[i] * query[j];
    }
  }
};

class SeenQueries final : public attnlab::QuerySink {
 public:
  SeenQueries(int skipped, std::vector<int> keep, const attnlab::LayerCacheContext& context)
      : skipped_(skipped),
        keep_(std::move(keep)),
        heads_(context.heads),
        sums_(static_cast<std::size_t>(context.sequences) * context.heads) {}

  void add(const ChunkView& chunk, attnlab::TensorView<const float, 3> queries) override {
    attnlab::for_each_index(chunk.sequences() * heads_, [&](int index) {
      const int sequence = index / heads_;
      // A prompt that fits is not cut.
      if (chunk.phases[sequence] == attnlab::Phase::decode || chunk.lengths[sequence] <= keep_[sequence]) return;
      std::vector<double> query(queries.extent(2));
      for (int token = chunk.first(sequence); token < chunk.first(sequence) + chunk.tokens_of(sequence); ++token) {
        if (chunk.positions[token] < skipped_) continue;
        for (std::size_t i = 0; i < query.size(); ++i) query[i] = queries(token, index % heads_, i);
        sums_[index].add(query);
      }
    });
  }

  const QuerySums& of(int sequence, int head) const { return sums_[sequence * heads_ + head]; }
  void forget(int sequence) {
    for (int head = 0; head < heads_; ++head) sums_[sequence * heads_ + head] = {};
  }
  void save(int sequence, attnlab::StateWriter& to) const {
    for (int head = 0; head < heads_; ++head) {
      const QuerySums& sums = of(sequence, head);
      to.put(sums.queries);
      to.put_all(sums.sum);
      to.put_all(sums.product);
    }
  }
  void restore(int sequence, attnlab::StateReader& from) {
    for (int head = 0; head < heads_; ++head) {
      QuerySums& sums = sums_[sequence * heads_ + head];
      sums.queries = from.get<std::int64_t>();
      from.get_all(sums.sum);
      from.get_all(sums.product);
    }
  }
  std::size_t bytes() const noexcept {
    std::size_t numbers = 0;
    for (const QuerySums& sums : sums_) numbers += sums.sum.size() + sums.product.size();
    return numbers * sizeof(double);
  }

 private:
  int skipped_;
  std::vector<int> keep_;  // [sequences]
  int heads_;
  std::vector<QuerySums> sums_;  // [sequences x heads]
};

// The average of a rotation over the positions to come. It is applied to the keys: the score of a rotated query with a
// key equals the score of the unrotated query with the key rotated back.
class Ahead {
 public:
  Ahead(const attnlab::LayerCacheContext& context, int future)
      : shape_(context.shape), rotation_(context.rotation), future_(future) {}

  // length: tokens of the prompt, after which the positions to come begin.
  void look_from(Position length) {
    if (rotation_ == nullptr) return;
    const std::size_t width = shape_.rotation_width();
    average_.assign(width * width, 0);
    std::vector<float> units(width * width);  // every unit vector as a head of one row
    for (Position position = length; position < length + future_; ++position) {
      std::ranges::fill(units, 0.0F);
      for (std::size_t i = 0; i < width; ++i) units[i * width + i] = 1;
      const auto heads = static_cast<std::int64_t>(width);
      rotation_->rotate({{&position, 1}, length, attnlab::RotateSide::query}, {units.data(), {1, heads, heads}});
      for (std::size_t i = 0; i < units.size(); ++i) average_[i] += static_cast<double>(units[i]) / future_;
    }
  }

  /// What was averaged is not needed any more.
  void forget() { std::vector<double>().swap(average_); }
  [[nodiscard]] std::size_t bytes() const noexcept { return average_.capacity() * sizeof(double); }

  // key [key_dim]
  void turn_back(std::span<double> key) const {
    if (rotation_ == nullptr) return;
    const std::size_t width = shape_.rotation_width();
    std::vector<double> turned(width);
    for (int repeat = 0; repeat < shape_.rotated_repeats; ++repeat) {
      const std::span<double> part = key.subspan(shape_.rotated_first + repeat * width, width);
      for (std::size_t i = 0; i < width; ++i) {
        turned[i] = 0;
        for (std::size_t j = 0; j < width; ++j) turned[i] += average_[i * width + j] * part[j];
      }
      std::ranges::copy(turned, part.begin());
    }
  }

 private:
  attnlab::KvShape shape_;
  const attnlab::Rotation* rotation_;
  int future_;
  std::vector<double> average_;  // [width, width]: row i is the average of the rotated unit vector i
};

class Expected final : public attnlab::EvictionRule {
 public:
  Expected(const ExpectedAttentionOptions& options, std::vector<int> keep, const attnlab::LayerCacheContext& context)
      : sinks_(options.sinks),
        keep_(std::move(keep)),
        protect_(options.protected_rows()),
        shape_(context.shape),
        group_(context.heads / context.shape.kv_heads),
        to_rotate_(context.key_form == attnlab::KeyForm::unrotated ? context.rotation : nullptr),
        seen_(sinks_, keep_, context),
        ahead_(context, options.future) {}

  int row_limit(int sequence, int length) const noexcept override { return std::min(length, keep_[sequence]); }
  attnlab::QuerySink* query_sink() noexcept override { return &seen_; }

  void check(const ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (chunk.phases[sequence] != attnlab::Phase::last_prefill) return;
    const int keep = keep_[sequence];
    if (chunk.lengths[sequence] > keep) {
      ahead_.look_from(chunk.lengths[sequence]);
      std::vector<std::vector<double>> scores(shape_.kv_heads);
      attnlab::for_each_index(shape_.kv_heads, [&](int head) {
        if (rows.rows(sequence, head) > keep) scores[head] = score(chunk, sequence, head, rows);
      });
      for (int head = 0; head < shape_.kv_heads; ++head) {
        if (scores[head].empty()) continue;
        const std::span<const Position> positions = rows.positions(sequence, head);
        rows.drop(sequence, head, attnlab::rows_to_drop(scores[head], positions, keep, protect_));
      }
    }
    seen_.forget(sequence);
    ahead_.forget();
  }

  void clear(int sequence) override { seen_.forget(sequence); }
  void save(int sequence, attnlab::StateWriter& to) const override { seen_.save(sequence, to); }
  void restore(int sequence, attnlab::StateReader& from) override { seen_.restore(sequence, from); }
  std::size_t bytes() const noexcept override { return seen_.bytes() + ahead_.bytes(); }

 private:
  // What is read of the rows of one kv head.
  struct Read {
    std::vector<double> keys;         // [rows, key_dim] as the estimated queries meet them
    std::vector<double> value_norms;  // [rows]
  };

  Read read(const ChunkView& chunk, int sequence, int head, const attnlab::KvRows& rows) const {
    const int count = rows.rows(sequence, head);
    std::vector<float> keys(static_cast<std::size_t>(count) * shape_.key_dim);
    std::vector<float> values(static_cast<std::size_t>(count) * shape_.value_dim);
    const attnlab::TensorView<float, 2> key_rows(keys.data(), {count, shape_.key_dim});
    const attnlab::TensorView<float, 2> value_rows(values.data(), {count, shape_.value_dim});
    rows.read(sequence, head, 0, key_rows, value_rows);
    Read all;
    for (int row = 0; row < count; ++row) {
      rotate_key(rows.positions(sequence, head)[row], chunk.lengths[sequence], key_rows.row(row));
      all.keys.insert(all.keys.end(), key_rows.row(row).begin(), key_rows.row(row).end());
      ahead_.turn_back(std::span(all.keys).last(shape_.key_dim));
      double square = 0;
      for (const float x : value_rows.row(row)) square += double{x} * x;
      all.value_norms.push_back(std::sqrt(square));
    }
    return all;
  }

  void rotate_key(Position position, Position length, std::span<float> key) const {
    if (to_rotate_ == nullptr) return;
    const int width = shape_.rotation_width();
    to_rotate_->rotate({{&position, 1}, length, attnlab::RotateSide::key},
                       {key.data() + shape_.rotated_first, {1, shape_.rotated_repeats, width}});
  }

  // [rows]: the mean over the group's heads of the expected weight, times the norm of the value.
  std::vector<double> score(const ChunkView& chunk, int sequence, int head, const attnlab::KvRows& rows) const {
    const Read all = read(chunk, sequence, head, rows);
    const std::span<const Position> positions = rows.positions(sequence, head);
    std::vector<double> scores(positions.size());
    for (int member = 0; member < group_; ++member) {
      const std::vector<double> logits = expected_logits(seen_.of(sequence, head * group_ + member), all.keys);
      double largest = -std::numeric_limits<double>::infinity();
      for (std::size_t row = 0; row < logits.size(); ++row)
        if (positions[row] >= sinks_) largest = std::max(largest, logits[row]);
      double sum = 0;
      for (std::size_t row = 0; row < logits.size(); ++row)
        if (positions[row] >= sinks_) sum += std::exp(logits[row] - largest);
      for (std::size_t row = 0; row < logits.size(); ++row)
        if (positions[row] >= sinks_) scores[row] += std::exp(logits[row] - largest) / sum / group_;
    }
    for (std::size_t row = 0; row < scores.size(); ++row) scores[row] *= all.value_norms[row];
    return scores;
  }

  // [rows]: the logarithm of the expected exp(score), m.k / sqrt(d) + k'C k / (2d). keys [rows, key_dim].
  std::vector<double> expected_logits(const QuerySums& seen, const std::vector<double>& keys) const {
    const std::size_t width = shape_.key_dim;
    ATTNLAB_CHECK(seen.sum.size() == width, "queries were not shown, or are of another width than the keys");
    const auto count = static_cast<double>(seen.queries);
    std::vector<double> mean = seen.sum;
    for (double& x : mean) x /= count;
    std::vector<double> covariance = seen.product;  // from the diagonal to the right
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = i; j < width; ++j) {
        double& of_both = covariance[i * width + j];
        of_both = of_both / count - mean[i] * mean[j];
      }
    std::vector<double> logits(keys.size() / width);
    for (std::size_t row = 0; row < logits.size(); ++row) {
      const double* key = keys.data() + row * width;
      double linear = 0;
      double square = 0;
      for (std::size_t i = 0; i < width; ++i) {
        const double* line = covariance.data() + i * width;
        double right = 0;
        for (std::size_t j = i + 1; j < width; ++j) right += line[j] * key[j];
        linear += mean[i] * key[i];
        square += key[i] * (line[i] * key[i] + 2 * right);
      }
      const auto dim = static_cast<double>(width);
      logits[row] = linear / std::sqrt(dim) + square / (2 * dim);
    }
    return logits;
  }

  Position sinks_;
  std::vector<int> keep_;  // [sequences]
  Protect protect_;
  attnlab::KvShape shape_;
  int group_;
  const attnlab::Rotation* to_rotate_;  // where keys are stored without
  SeenQueries seen_;
  Ahead ahead_;
};

class ExpectedAttention final : public attnlab::CachePolicy {
 public:
  ExpectedAttention(const ExpectedAttentionOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const ExpectedAttentionOptions&) {
    return {.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::evicts_after_prompt_only},
            .needs = {Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    std::vector<int> keep = attnlab::require_protected(
        options_.budget.rows(context, context.sequence_bytes(), options_.protected_rows().first),
        options_.protected_rows());
    return attnlab::rows_cache(context, std::make_unique<Expected>(options_, std::move(keep), context));
  }

 private:
  ExpectedAttentionOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, ExpectedAttention, ExpectedAttentionOptions>(
        {.id = "expected_attention",
         .summary = "Keeps, once after the prompt, the rows that coming queries should look at.",
         .reference = "arXiv:2510.00636"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "expected_attention", .version = "1.0", .cache = kCache);
