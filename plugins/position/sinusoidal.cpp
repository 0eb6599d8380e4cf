// Sinusoidal positions, added to the token embeddings without scaling; nothing is rotated. Vaswani et al. 2017.
// The table ends with the trained length: a longer sequence is an error, not an extrapolation.
#include <cmath>
#include <vector>

#include <attnlab/plugin.h>

namespace {

class Sinusoidal final : public attnlab::PositionScheme {
 public:
  Sinusoidal(const attnlab::NoOptions&, const attnlab::CreateContext& context) : max_positions_(context.max_positions) {
    for (int i = 0; i < context.hidden_dim / 2 + context.hidden_dim % 2; ++i)
      frequencies_.push_back(std::pow(10000.0, -2.0 * i / context.hidden_dim));
  }
  static attnlab::Traits traits(const attnlab::NoOptions&) {
    return {.provides = {attnlab::Feature::embedded_positions}};
  }

  void add_to_embeddings(std::span<const attnlab::Position> positions,
                         attnlab::TensorView<float, 2> embeddings) const override {
    for (std::size_t token = 0; token < positions.size(); ++token) {
      const std::span<float> row = embeddings.row(static_cast<std::int64_t>(token));
      for (std::size_t i = 0; i < row.size(); ++i) {
        const double angle = positions[token] * frequencies_[i / 2];
        row[i] += static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
      }
    }
  }
  attnlab::Position max_positions() const override { return max_positions_; }

 private:
  attnlab::Position max_positions_;
  std::vector<double> frequencies_;  // [hidden_dim / 2]
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, Sinusoidal>(
        {.id = "sinusoidal",
         .summary = "Sines and cosines of the position are added to the token embeddings.",
         .reference = "arXiv:1706.03762"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "sinusoidal", .version = "1.0", .position = kPosition);
