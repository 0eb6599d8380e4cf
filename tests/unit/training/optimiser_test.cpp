// The optimisers against their formulas as they are written, number by number and in double precision; and the laws
// that every optimiser has: any number of threads, and any interruption, changes no bit.
#include "training/optimiser.h"

#include <cmath>

#include <gtest/gtest.h>

#include "parallel/keep_threads.h"
#include "training/kept_state.h"
#include "unit/model_test_files.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

using training_test::same_bits;
using training_test::SampleTensors;

constexpr int kSteps = 12;

double factor_at(int step) {
  return step / 12.0;
}

using Numbers = std::vector<double>;

struct SlowTensor {
  const TrainedTensor& of;
  Numbers values, first, second;  // second: of adamw

  explicit SlowTensor(const TrainedTensor& tensor)
      : of(tensor), values(tensor.values.begin(), tensor.values.end()), first(values.size()), second(values.size()) {}
};

void slow_adamw(SlowTensor& tensor, const AdamwOptions& o, int step, double factor) {
  const double lr = o.lr * factor;
  const double decay = tensor.of.shape.size() >= 2 ? o.weight_decay : 0;
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    const double g = tensor.of.gradient[i];
    double& m = tensor.first[i];
    double& v = tensor.second[i];
    double& p = tensor.values[i];
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double corrected = m / (1 - std::pow(o.beta1, step));
    p = p - lr * decay * p - lr * corrected / (std::sqrt(v / (1 - std::pow(o.beta2, step))) + o.eps);
  }
}

void slow_sgd(SlowTensor& tensor, const SgdOptions& o, double factor) {
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    tensor.first[i] = o.momentum * tensor.first[i] + tensor.of.gradient[i];
    tensor.values[i] -= o.lr * factor * tensor.first[i];
  }
}

// [rows, inner] times [inner, columns]
Numbers times(const Numbers& a, const Numbers& b, std::size_t rows, std::size_t inner, std::size_t columns) {
  Numbers out(rows * columns);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t k = 0; k < inner; ++k)
      for (std::size_t c = 0; c < columns; ++c) out[r * columns + c] += a[r * inner + k] * b[k * columns + c];
  return out;
}

Numbers transposed(const Numbers& a, std::size_t rows, std::size_t columns) {
  Numbers out(a.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) out[c * rows + r] = a[r * columns + c];
  return out;
}

// As SPEC has it: a matrix with more rows than columns is transposed, iterated, and transposed back.
Numbers orthogonalised(Numbers x, std::size_t rows, std::size_t columns) {
  if (rows > columns) return transposed(orthogonalised(transposed(x, rows, columns), columns, rows), columns, rows);
  double squares = 0;
  for (const double number : x) squares += number * number;
  for (double& number : x) number /= std::sqrt(squares) + 1e-7;
  for (int i = 0; i < 5; ++i) {
    const Numbers a = times(x, transposed(x, rows, columns), rows, columns, rows);
    Numbers b = times(a, a, rows, rows, rows);
    for (std::size_t k = 0; k < b.size(); ++k) b[k] = -4.7750 * a[k] + 2.0315 * b[k];
    const Numbers bx = times(b, x, rows, rows, columns);
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = 3.4445 * x[k] + bx[k];
  }
  return x;
}

void slow_muon(SlowTensor& tensor, const MuonOptions& o, double factor) {
  Numbers u(tensor.values.size());
  for (std::size_t i = 0; i < u.size(); ++i) {
    const double g = tensor.of.gradient[i];
    tensor.first[i] = o.momentum * tensor.first[i] + (1 - o.momentum) * g;
    u[i] = (1 - o.momentum) * g + o.momentum * tensor.first[i];
  }
  const auto rows = static_cast<std::size_t>(tensor.of.shape[0]);
  const auto columns = static_cast<std::size_t>(tensor.of.shape[1]);
  const Numbers x = orthogonalised(u, rows, columns);
  const double shape = std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns)));
  for (std::size_t i = 0; i < u.size(); ++i) {
    double& p = tensor.values[i];
    p = p - o.lr * factor * o.weight_decay * p - o.lr * factor * shape * x[i];
  }
}

// eps is of the size of some gradients, so that its place in the formula shows.
const AdamwOptions kAdamw{.lr = 3e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-5, .weight_decay = 0.3};
const MuonOptions kMuon{.lr = 5e-2, .momentum = 0.9, .weight_decay = 0.2, .adamw = kAdamw};
const SgdOptions kSgd{.lr = 0.1, .momentum = 0.8};

// The largest distance of a tensor from the slow form, relative to how far it moved.
double largest_deviation(const SampleTensors& tensors, const SampleTensors& start,
                         const std::vector<SlowTensor>& slow) {
  double largest = 0;
  for (std::size_t i = 0; i < slow.size(); ++i) {
    double wrong = 0;
    double moved = 0;
    for (std::size_t k = 0; k < slow[i].values.size(); ++k) {
      wrong += std::pow(tensors.values()[i][k] - slow[i].values[k], 2);
      moved += std::pow(slow[i].values[k] - start.values()[i][k], 2);
    }
    EXPECT_GT(moved, 0) << slow[i].of.name;
    largest = std::max(largest, std::sqrt(wrong / moved));
  }
  return largest;
}

template <class Step>
double deviation_after_all_steps(const OptimiserChoice& choice, const Step& slow_step) {
  SampleTensors tensors;
  const SampleTensors start;
  std::vector<SlowTensor> slow(tensors.all().begin(), tensors.all().end());
  const auto optimiser = make_optimiser(choice, tensors.all());
  for (int step = 1; step <= kSteps; ++step) {
    tensors.next_gradients();
    optimiser->step(tensors.all(), step, factor_at(step));
    for (SlowTensor& tensor : slow) slow_step(tensor, step, factor_at(step));
  }
  return largest_deviation(tensors, start, slow);
}

// Values of 0.5 are rounded to 3e-8 in each of the steps. What moves least here (gradients of 1e-8, adamw) moves by
// about 1e-4.
constexpr double kTolerance = 3e-4;

TEST(Adamw, FollowsItsFormulaAndDecaysWhatHasTwoDimensions) {
  EXPECT_LT(
      deviation_after_all_steps({.options = kAdamw}, [](SlowTensor& tensor, int step,
                                                        double factor) { slow_adamw(tensor, kAdamw, step, factor); }),
      kTolerance);
}

TEST(Sgd, FollowsItsFormula) {
  // Without a floor of the step, tensors of tiny gradients hardly move: those of size 1 to 1e-3.
  std::vector<SampleTensors::Shape> shapes = SampleTensors::every_kind();
  shapes.resize(4);
  SampleTensors tensors(5, shapes);
  const SampleTensors start(5, shapes);
  std::vector<SlowTensor> slow(tensors.all().begin(), tensors.all().end());
  const auto optimiser = make_optimiser({.options = kSgd}, tensors.all());
  for (int step = 1; step <= kSteps; ++step) {
    tensors.next_gradients();
    optimiser->step(tensors.all(), step, factor_at(step));
    for (SlowTensor& tensor : slow) slow_sgd(tensor, kSgd, factor_at(step));
  }
  EXPECT_LT(largest_deviation(tensors, start, slow), kTolerance);
}

TEST(Muon, FollowsItsFormulaForTheLayersMatricesAndLeavesTheRestToAdamw) {
  const auto is_matrix = [](const std::string& name) {
    return name == "model.layers.0.self_attn.q_proj.weight" || name == "model.layers.0.mlp.up_proj.weight" ||
           name == "model.layers.1.self_attn.k_proj.weight";
  };
  EXPECT_LT(deviation_after_all_steps({.options = kMuon},
                                      [&](SlowTensor& tensor, int step, double factor) {
                                        if (is_matrix(tensor.of.name))
                                          slow_muon(tensor, kMuon, factor);
                                        else
                                          slow_adamw(tensor, kMuon.adamw, step, factor);
                                      }),
            kTolerance);
}

TEST(Muon, MovesAMatrixByNearlyOrthonormalRows) {
  SampleTensors tensors(9, {{"model.layers.0.w", {20, 300}}});
  const SampleTensors start(9, {{"model.layers.0.w", {20, 300}}});
  tensors.next_gradients();
  const auto optimiser = make_optimiser(
      {.options = MuonOptions{.lr = 1, .momentum = 0, .weight_decay = 0, .adamw = kAdamw}}, tensors.all());
  optimiser->step(tensors.all(), 1, 1);
  for (std::size_t row = 0; row < 20; ++row) {
    double squares = 0;
    for (std::size_t i = 0; i < 300; ++i)
      squares += std::pow(tensors.values()[0][row * 300 + i] - start.values()[0][row * 300 + i], 2);
    // Five iterations leave singular values between about 0.7 and 1.2.
    EXPECT_GT(squares, 0.6 * 0.6) << row;
    EXPECT_LT(squares, 1.25 * 1.25) << row;
  }
}

TEST(Muon, TakesAGradientOfZeros) {
  SampleTensors tensors(9, {{"model.layers.0.w", {4, 6}}});
  const SampleTensors start(9, {{"model.layers.0.w", {4, 6}}});
  const auto optimiser =
      make_optimiser({.options = MuonOptions{.lr = 1, .weight_decay = 0, .adamw = kAdamw}}, tensors.all());
  optimiser->step(tensors.all(), 1, 1);
  EXPECT_TRUE(same_bits(tensors.values(), start.values()));
}

class EveryOptimiser : public testing::TestWithParam<OptimiserChoice> {
 protected:
  static void train(Optimiser& optimiser, SampleTensors& tensors, int first, int last) {
    for (int step = first; step <= last; ++step) {
      tensors.next_gradients();
      optimiser.step(tensors.all(), step, factor_at(step));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Optimisers, EveryOptimiser,
                         testing::Values(OptimiserChoice{.options = kAdamw}, OptimiserChoice{.options = kMuon},
                                         OptimiserChoice{.options = kSgd}),
                         [](const auto& info) {
                           return std::visit([](const auto& of) { return std::string(of.kName); }, info.param.options);
                         });

TEST_P(EveryOptimiser, HasTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  std::vector<std::vector<std::vector<float>>> ends;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    SampleTensors tensors;
    train(*make_optimiser(GetParam(), tensors.all()), tensors, 1, 6);
    ends.push_back(tensors.values());
  }
  EXPECT_TRUE(same_bits(ends[0], ends[1]));
  EXPECT_TRUE(same_bits(ends[0], ends[2]));
}

TEST_P(EveryOptimiser, GoesOnFromAKeptStateWithTheSameBits) {
  const model_test::TempFolder folder;
  const std::filesystem::path file = folder.path() / "state";
  SampleTensors undisturbed;
  train(*make_optimiser(GetParam(), undisturbed.all()), undisturbed, 1, 9);

  SampleTensors tensors;
  const auto before = make_optimiser(GetParam(), tensors.all());
  train(*before, tensors, 1, 4);
  StateWriter writer;
  before->save(writer);
  writer.write(file, {});

  const auto after = make_optimiser(GetParam(), tensors.all());
  after->restore(StateReader::open(file, {}));
  train(*after, tensors, 5, 9);
  EXPECT_TRUE(same_bits(tensors.values(), undisturbed.values()));
}

TEST_P(EveryOptimiser, ShowsItsOwnRateTimesTheFactor) {
  const SampleTensors tensors;
  OptimiserChoice choice = GetParam();
  choice.set_rate(0.25);
  EXPECT_EQ(choice.rate(), 0.25);
  EXPECT_EQ(make_optimiser(choice, tensors.all())->learning_rate(0.5), 0.125);
}

}  // namespace
}  // namespace attnlab::training
