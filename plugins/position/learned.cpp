// Learned positions: a table with one row per position, added to the token embeddings; nothing is rotated. Gehring et
// al. 2017, as in BERT and GPT-2. Row p belongs to position p, from 0: not OPT's table, whose first two rows are no
// positions. The table ends with the trained length: a longer sequence is an error.
#include <string>

#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {

constexpr const char* kTable = "model.embed_positions.weight";

class Learned final : public attnlab::PositionScheme {
 public:
  Learned(const attnlab::NoOptions&, const attnlab::CreateContext& context)
      : max_positions_(context.max_positions), hidden_dim_(context.hidden_dim) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) {
    return {.provides = {attnlab::Feature::embedded_positions}};
  }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    return {{.name = kTable,
             .shape = {max_positions_, hidden_dim_},
             .form = attnlab::ParameterForm::values,
             .scope = attnlab::ParameterScope::model}};
  }
  void bind(const attnlab::ParameterSet& parameters) override { table_ = parameters.values(kTable); }

  void add_to_embeddings(std::span<const attnlab::Position> positions,
                         attnlab::TensorView<float, 2> embeddings) const override {
    for (std::size_t token = 0; token < positions.size(); ++token) {
      const attnlab::Position position = positions[token];
      if (position >= max_positions_)
        throw attnlab::Error("",
                             "position " + std::to_string(position) + " is past the " + std::to_string(max_positions_) +
                                 " rows of the table of learned positions",
                             "use at most " + std::to_string(max_positions_) + " tokens");
      const std::span<float> row = embeddings.row(static_cast<std::int64_t>(token));
      const float* added = table_.data() + static_cast<std::size_t>(position) * row.size();
      for (std::size_t i = 0; i < row.size(); ++i) row[i] += added[i];
    }
  }
  void embeddings_backward(std::span<const attnlab::Position> positions, attnlab::TensorView<const float, 2> gradients,
                           attnlab::Gradients& others) const override {
    const std::span<float> of_table = others.of_parameter(table_);
    for (std::size_t token = 0; token < positions.size(); ++token) {
      const std::span<const float> of = gradients.row(static_cast<std::int64_t>(token));
      float* to = of_table.data() + static_cast<std::size_t>(positions[token]) * of.size();
      for (std::size_t i = 0; i < of.size(); ++i) to[i] += of[i];
    }
  }
  attnlab::Position max_positions() const override { return max_positions_; }

 private:
  attnlab::Position max_positions_;
  int hidden_dim_;
  std::span<const float> table_;  // [max_positions, hidden_dim]
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Learned>(
        {.id = "learned",
         .summary = "A learned table of positions is added to the token embeddings.",
         .reference = "arXiv:1705.03122"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "learned", .version = "1.0", .position = kPosition);
