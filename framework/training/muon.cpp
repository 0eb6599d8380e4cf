// Muon (Jordan 2024, github.com/KellerJordan/Muon): the momentum of a matrix, made orthogonal by a Newton-Schulz
// iteration, for the matrices of the layers; AdamW for embeddings, head, tables, convolutions and vectors.
//   m = mu m + (1 - mu) g        u = (1 - mu) g + mu m
//   X = u / (|u| + 1e-7)         5 times: A = X X', X = 3.4445 X + (-4.7750 A + 2.0315 A A) X
//   p = p - lr wd p - lr max(1, rows / columns)^0.5 X
// Of a matrix with more rows than columns the other Gram matrix is taken, X (...) with A = X' X: the same X, from
// smaller products. The iteration runs in f32; the authors' in bfloat16.
#include <cmath>
#include <numeric>

#include "ops/dense_product.h"
#include "training/element_blocks.h"
#include "training/kept_state.h"
#include "training/optimiser.h"
#include "training/updates.h"

namespace attnlab::training {
namespace {

constexpr int kIterations = 5;
constexpr float kOfX = 3.4445F;
constexpr float kOfGram = -4.7750F;
constexpr float kOfGramSquared = 2.0315F;
constexpr double kNormFloor = 1e-7;

// Projections and the like, as checkpoints name them. A table of relative positions belongs to no token's row.
bool is_layer_matrix(const TrainedTensor& tensor) {
  return tensor.shape.size() == 2 && tensor.name.starts_with("model.layers.") &&
         !tensor.name.ends_with("relative_attention_bias.weight");
}

// X [rows, columns], and what one iteration needs beside it. Room for the largest matrix.
class Orthogonaliser {
 public:
  void reserve(std::int64_t rows, std::int64_t columns) {
    const auto elements = static_cast<std::size_t>(rows * columns);
    const auto gram = static_cast<std::size_t>(std::min(rows, columns) * std::min(rows, columns));
    if (elements > x_.size()) {
      x_.resize(elements);
      next_.resize(elements);
      sums_.resize(block_count(elements));
    }
    if (gram > gram_.size()) {
      gram_.resize(gram);
      polynomial_.resize(gram);
    }
  }

  // Updates the moment and leaves u in x, divided by its norm.
  void begin(float momentum, std::span<const float> gradient, std::span<float> moment) {
    const std::size_t count = gradient.size();
    for_each_part(count, [&](std::size_t first, std::size_t part, std::size_t block) {
      sums_[block] = nesterov_update(momentum, gradient.subspan(first, part), moment.subspan(first, part),
                                     std::span(x_).subspan(first, part));
    });
    const double squares = std::accumulate(sums_.begin(), sums_.begin() + static_cast<long>(block_count(count)), 0.0);
    const auto factor = static_cast<float>(1 / (std::sqrt(squares) + kNormFloor));
    for_each_part(count, [&](std::size_t first, std::size_t part, std::size_t) {
      const std::span<float> of = std::span(x_).subspan(first, part);
      scaled(factor, of, of);
    });
  }

  // The rows of what is left are nearly orthonormal (or the columns, where there are fewer).
  std::span<const float> iterate(std::int64_t rows, std::int64_t columns) {
    const auto count = static_cast<std::size_t>(rows * columns);
    const bool is_tall = rows > columns;
    const std::int64_t small = std::min(rows, columns);
    for (int i = 0; i < kIterations; ++i) {
      dense_product({.a = x_.data(),
                     .a_stride = columns,
                     .a_transposed = is_tall,
                     .b = x_.data(),
                     .b_stride = columns,
                     .b_transposed = !is_tall,
                     .out = gram_.data(),
                     .out_stride = small,
                     .rows = small,
                     .columns = small,
                     .depth = is_tall ? rows : columns,
                     .accumulate = false});
      gram_polynomial(small);
      for_each_part(count, [&](std::size_t first, std::size_t part, std::size_t) {
        scaled(kOfX, std::span(x_).subspan(first, part), std::span(next_).subspan(first, part));
      });
      const float* const left = is_tall ? x_.data() : polynomial_.data();
      const float* const right = is_tall ? polynomial_.data() : x_.data();
      dense_product({.a = left,
                     .a_stride = is_tall ? columns : small,
                     .a_transposed = false,
                     .b = right,
                     .b_stride = columns,  // = small where the polynomial stands on the right
                     .b_transposed = false,
                     .out = next_.data(),
                     .out_stride = columns,
                     .rows = rows,
                     .columns = columns,
                     .depth = small,
                     .accumulate = true});
      x_.swap(next_);
    }
    return std::span(x_).first(count);
  }

 private:
  // polynomial = kOfGram A + kOfGramSquared A A
  void gram_polynomial(std::int64_t small) {
    const auto count = static_cast<std::size_t>(small * small);
    dense_product({.a = gram_.data(),
                   .a_stride = small,
                   .a_transposed = false,
                   .b = gram_.data(),
                   .b_stride = small,
                   .b_transposed = false,
                   .out = polynomial_.data(),
                   .out_stride = small,
                   .rows = small,
                   .columns = small,
                   .depth = small,
                   .accumulate = false});
    for_each_part(count, [&](std::size_t first, std::size_t part, std::size_t) {
      decay_and_subtract(kOfGramSquared, -kOfGram, std::span(gram_).subspan(first, part),
                         std::span(polynomial_).subspan(first, part));
    });
  }

  std::vector<float> x_, next_;           // [rows, columns]
  std::vector<float> gram_, polynomial_;  // [small, small]
  std::vector<double> sums_;              // by block
};

class Muon final : public Optimiser {
 public:
  Muon(const MuonOptions& options, std::span<const TrainedTensor> tensors) : options_(options) {
    TensorIndices others;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (!is_layer_matrix(tensors[i])) {
        others.push_back(i);
        continue;
      }
      matrices_.push_back({i, "muon.momentum|" + tensors[i].name, std::vector<float>(tensors[i].values.size())});
      orthogonaliser_.reserve(tensors[i].shape[0], tensors[i].shape[1]);
    }
    others_ = make_adamw(options.adamw, tensors, std::move(others));
  }

  void step(std::span<const TrainedTensor> tensors, std::int64_t step, double factor) override {
    others_->step(tensors, step, factor);
    const double rate = options_.lr * factor;
    const auto keep = static_cast<float>(1 - rate * options_.weight_decay);
    for (MatrixMoment& matrix : matrices_) {
      const TrainedTensor& tensor = tensors[matrix.tensor];
      const std::int64_t rows = tensor.shape[0];
      const std::int64_t columns = tensor.shape[1];
      orthogonaliser_.begin(static_cast<float>(options_.momentum), tensor.gradient, matrix.moment);
      const std::span<const float> direction = orthogonaliser_.iterate(rows, columns);
      const double shape = std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns)));
      const auto part_rate = static_cast<float>(rate * shape);
      for_each_part(tensor.values.size(), [&](std::size_t first, std::size_t part, std::size_t) {
        decay_and_subtract(keep, part_rate, direction.subspan(first, part), tensor.values.subspan(first, part));
      });
    }
  }

  [[nodiscard]] double learning_rate(double factor) const override { return options_.lr * factor; }

  void save(StateWriter& to) const override {
    for (const MatrixMoment& matrix : matrices_) to.add(matrix.name, matrix.moment);
    others_->save(to);
  }

  void restore(const StateReader& from) override {
    for (MatrixMoment& matrix : matrices_) from.read(matrix.name, matrix.moment);
    others_->restore(from);
  }

 private:
  struct MatrixMoment {
    std::size_t tensor;
    std::string name;  // in a kept state
    std::vector<float> moment;
  };

  MuonOptions options_;
  std::vector<MatrixMoment> matrices_;
  std::unique_ptr<Optimiser> others_;
  Orthogonaliser orthogonaliser_;
};

}  // namespace

std::unique_ptr<Optimiser> make_muon(const MuonOptions& options, std::span<const TrainedTensor> tensors) {
  return std::make_unique<Muon>(options, tensors);
}

}  // namespace attnlab::training
