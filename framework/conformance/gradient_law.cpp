#include "conformance/gradient_law.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/random.h>

#include "base/plugin_call.h"
#include "training/trained_model.h"

namespace attnlab::experiment::conformance {
namespace {

constexpr int kTokens = 70;  // more than a tile of rows
// Of the size of a tensor: large steps feel that the loss is bent, small ones that it is rounded to f32. Of two
// neighbours that agree best, the smaller is taken.
constexpr double kSteps[] = {3e-3, 1e-3, 3e-4, 1e-4, 3e-5};
constexpr double kAllowed = 1e-3;  // of a derivative
constexpr double kFloor = 1e-4;    // of the largest derivative of all tensors

// Of the SDK, where a class says that it has a derivative of its own.
constexpr const char* kUnkeptPromise = "says that it writes its own derivative, and does not";

double length(std::span<const float> numbers) {
  double sum = 0;
  for (const float number : numbers) sum += static_cast<double>(number) * number;
  return std::sqrt(sum);
}

// Half along the gradient, so that the loss changes, half at random, so that a gradient which is zero is found out; as
// long as the tensor's own numbers.
std::vector<float> direction(const TrainedParameter& parameter, SplitMix64& draws) {
  std::vector<float> along(parameter.values.size());
  for (float& number : along) number = static_cast<float>(2 * draws.uniform() - 1);
  const double random = length(along), gradient = length(parameter.gradient), size = length(parameter.values);
  for (std::size_t i = 0; i < along.size(); ++i)
    along[i] = static_cast<float>((size > 0 ? size : 1) *
                                  (along[i] / random + (gradient > 0 ? parameter.gradient[i] / gradient : 0)));
  return along;
}

class Differences {
 public:
  explicit Differences(Subject& subject) : model_(subject.decoder()), input_(tokens(kTokens, 31)) {
    targets_.assign(input_.begin() + 1, input_.end());
    targets_.push_back(training::kNoTarget);
  }

  Finding largest() {
    const training::TrainingSequence text{input_, targets_};
    (void)model_.accumulate({&text, 1}, 1.0);
    std::vector<std::pair<double, double>> found;  // by the gradient, by differences
    SplitMix64 draws(17);
    double most = 0;
    for (TrainedParameter& parameter : model_.parameters().all()) {
      const std::vector<float> along = direction(parameter, draws);
      double by_gradient = 0;
      for (std::size_t i = 0; i < along.size(); ++i)
        by_gradient += static_cast<double>(along[i]) * parameter.gradient[i];
      const std::vector<float> before(parameter.values.begin(), parameter.values.end());
      const auto loss_at = [&](double step) {
        for (std::size_t i = 0; i < along.size(); ++i)
          parameter.values[i] = before[i] + static_cast<float>(step * along[i]);
        model_.write_back();
        return model_.evaluate({&text, 1}).sum;
      };
      double right = 0, apart = std::numeric_limits<double>::infinity(), before_it = 0;
      for (const double step : kSteps) {  // differences of the fourth order
        const double of_step =
            (8 * (loss_at(step) - loss_at(-step)) - (loss_at(2 * step) - loss_at(-2 * step))) / (12 * step);
        if (step != kSteps[0] && std::abs(of_step - before_it) < apart) {
          apart = std::abs(of_step - before_it);
          right = of_step;
        }
        before_it = of_step;
      }
      std::ranges::copy(before, parameter.values.begin());
      model_.write_back();
      found.emplace_back(by_gradient, right);
      most = std::max(most, std::abs(right));
    }
    Finding worst{0, 1, ""};
    std::size_t index = 0;
    for (const TrainedParameter& parameter : model_.parameters().all()) {
      const auto& [by_gradient, right] = found[index++];
      const double off = std::abs(by_gradient - right) / (kAllowed * std::abs(right) + kFloor * most);
      if (!(off <= worst.deviation)) worst = {std::isnan(off) ? 1e300 : off, 1, parameter.name};
    }
    return worst;
  }

 private:
  training::TrainedModel model_;
  std::vector<model::TokenId> input_, targets_;
};

}  // namespace

std::optional<Finding> gradients_are_differences(Subject& subject, Kind kind) {
  if (kind != Kind::attention && kind != Kind::position) return std::nullopt;
  try {
    // As a training begins: a table that is read between its rows has no derivative at them, where small scores are.
    Subject fresh(subject.registry(), subject.parts(), /*fills_zeros=*/false);
    return Differences(fresh).largest();
  } catch (const PluginRefusal& refusal) {  // `attnlab gradients` prints the reason
    const bool is_fault = std::string(refusal.what()).find(kUnkeptPromise) != std::string::npos;
    return is_fault ? std::optional(Finding{1e300, 1, refusal.what()}) : std::nullopt;
  } catch (const PluginError&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace attnlab::experiment::conformance
