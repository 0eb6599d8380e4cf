// CoPE, contextual position encoding: the position of a key is not how many tokens ago it was, but how many of the
// tokens since then counted, each by a gate of the query; the position picks a learned vector between two rows of a
// table, whose product with the query is added to the score. Nothing is rotated or embedded. Golovneva et al. 2024.
// As the paper's listing: the sum of gates is not divided by anything (the authors' repository divides it by the square
// root of head_dim unless asked not to), gates come from scaled scores, the key's own gate counts, and a training
// starts with a table of zeros. Where a position is a row of the table there is no derivative by it, and 0 stands for
// it, as in automatic differentiation of the listing.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/scores.h>

namespace {

using attnlab::QueryScores;
using attnlab::TensorView;

struct CopeOptions {
  std::int32_t positions = 64;

  static constexpr auto fields() {
    return std::tuple{
        attnlab::field("positions", &CopeOptions::positions,
                       {.min = 2,
                        .max = 65536,
                        .doc = "Rows of the table. Keys behind more gates than it has rows share its last one."})};
  }
};

constexpr float kUnseen = -std::numeric_limits<float>::infinity();
constexpr std::size_t kGatesAtOnce = 64;

// Two rows of the table, and how much of the upper one.
struct Between {
  std::size_t low;
  std::size_t high;
  float part;
};

class GatedPositions final : public attnlab::RowBias {
 public:
  explicit GatedPositions(int width) : width_(width) {}

  // table [positions, width]
  void fill(std::span<const float> table) { table_ = table; }

  int width() const noexcept override { return width_; }
  double multiply_adds() const noexcept override { return static_cast<double>(table_.size()); }
  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }

  void add(QueryScores& query) const noexcept override {
    thread_local std::vector<std::size_t> order;
    thread_local std::vector<float> products;
    newest_first(query.key_positions, order);
    each_head(query, [&](std::span<float> scores, const float* of_query, std::int64_t, std::int64_t) {
      find_products(of_query, products);
      std::array<float, kGatesAtOnce> gates;
      float position = 0;
      std::size_t done = 0;
      // Once the last row is reached, all older keys have it, and their gates do not matter.
      for (; done < order.size() && position < last(); done += std::min(gates.size(), order.size() - done)) {
        const std::span<const std::size_t> some =
            std::span(order).subspan(done, std::min(gates.size(), order.size() - done));
        find_gates(scores, some, gates);
        for (std::size_t i = 0; i < some.size(); ++i) {
          position += gates[i];
          const Between at = between(position);
          scores[some[i]] += products[at.low] + at.part * (products[at.high] - products[at.low]);
        }
      }
      for (; done < order.size(); ++done) scores[order[done]] += products.back();
    });
  }

  // With z = E q, b = z_low + part (z_high - z_low): by a position between two rows it is z_high - z_low, which goes to
  // the gates of all keys that are not older; a gate's derivative is g (1 - g).
  void backward(const QueryScores& before, TensorView<float, 3> gradients, TensorView<float, 3> of_queries,
                attnlab::Gradients& others) const override {
    std::vector<std::size_t> order;
    std::vector<float> products, of_products, of_positions, gates;
    newest_first(before.key_positions, order);
    const std::span<float> of_table = others.of_parameter(table_);
    each_head(before,
              [&](std::span<const float> scores, const float* of_query, std::int64_t head, std::int64_t member) {
                find_products(of_query, products);
                of_products.assign(products.size(), 0.0F);
                of_positions.assign(order.size(), 0.0F);
                gates.resize(order.size());
                find_gates(scores, order, gates);
                float position = 0;
                for (std::size_t i = 0; i < order.size(); ++i) {
                  position += gates[i];
                  if (scores[order[i]] == kUnseen) continue;
                  const Between at = between(position);
                  const float of = gradients(head, member, order[i]);
                  of_products[at.low] += (1 - at.part) * of;
                  of_products[at.high] += at.part * of;
                  of_positions[i] = of * (products[at.high] - products[at.low]);
                }
                double of_gate = 0;  // of the sums that it is part of: its own and those of older keys
                for (std::size_t i = order.size(); i-- > 0;) {
                  of_gate += of_positions[i];
                  gradients(head, member, order[i]) += static_cast<float>(of_gate * gates[i] * (1 - gates[i]));
                }
                for (std::size_t row = 0; row < of_products.size(); ++row)
                  for (int i = 0; i < width_; ++i) {
                    const std::size_t at = row * width_ + i;
                    of_queries(head, member, i) += of_products[row] * table_[at];
                    of_table[at] += of_products[row] * of_query[i];
                  }
              });
  }

 private:
  [[nodiscard]] float last() const { return static_cast<float>(table_.size() / width_ - 1); }

  [[nodiscard]] Between between(float position) const {
    const float clamped = position < last() ? position : last();  // a position that is not a number, too
    const auto low = static_cast<std::size_t>(clamped);
    const float part = clamped - static_cast<float>(low);
    return {low, part > 0 ? low + 1 : low, part};
  }

  // Rows by falling position.
  static void newest_first(std::span<const attnlab::Position> positions, std::vector<std::size_t>& order) {
    order.resize(positions.size());
    std::iota(order.rbegin(), order.rend(), std::size_t{0});
    if (!std::ranges::is_sorted(positions))
      std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return positions[a] > positions[b]; });
  }

  // 0 where the row is not seen.
  static void find_gates(std::span<const float> scores, std::span<const std::size_t> rows, std::span<float> gates) {
    // exp(-s), without a number that is too large for it: from 80 on the gate is 0 for all that adds it up.
    for (std::size_t i = 0; i < rows.size(); ++i) gates[i] = std::min(-scores[rows[i]], 80.0F);
    attnlab::exponentials(gates.first(rows.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) gates[i] = scores[rows[i]] == kUnseen ? 0 : 1 / (1 + gates[i]);
  }

  void find_products(const float* query, std::vector<float>& products) const {
    products.resize(table_.size() / width_);
    for (std::size_t row = 0; row < products.size(); ++row)
      products[row] = attnlab::dot_product(query, table_.data() + row * width_, width_);
  }

  template <class Function>
  static void each_head(const QueryScores& query, const Function& function) {
    for (std::int64_t head = 0; head < query.scores.extent(0); ++head)
      for (std::int64_t member = 0; member < query.scores.extent(1); ++member)
        function(query.scores[head].row(member), &query.queries(head, member, 0), head, member);
  }

  int width_;
  std::span<const float> table_;  // [positions, width]
};

class Cope final : public attnlab::PositionScheme {
 public:
  Cope(const CopeOptions& options, const attnlab::CreateContext& context)
      : positions_(options.positions), width_(context.head_dim), bias_(context.head_dim) {}
  static attnlab::Traits traits(const CopeOptions&) {
    return {.provides = {attnlab::Feature::score_bias, attnlab::Feature::row_bias},
            .excludes = {attnlab::Feature::selects_tiles}};
  }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    return {{.name = "cope_pos_emb",
             .shape = {positions_, width_},
             .form = attnlab::ParameterForm::values,
             .init = attnlab::Init::zeros}};
  }
  void bind(const attnlab::ParameterSet& parameters) override { bias_.fill(parameters.values("cope_pos_emb")); }
  const attnlab::RowBias* row_bias() const override { return &bias_; }

 private:
  int positions_;
  int width_;
  GatedPositions bias_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Cope, CopeOptions>(
        {.id = "cope",
         .summary = "Positions count gates of the query over the tokens since the key; a learned vector for each.",
         .reference = "arXiv:2405.18719"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "cope", .version = "1.0", .position = kPosition);
