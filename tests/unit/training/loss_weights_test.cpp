// A loss is the mean over targets by the weights of their sequences: sums and gradients are linear in the weights, and
// a mixture gives its tasks theirs.
#include <gtest/gtest.h>

#include <cmath>

#include "assembly/arm_model.h"
#include "assembly/model_source.h"
#include "choices/layered_choice.h"
#include "reference/plugins.h"
#include "training/trained_model.h"
#include "training/trainer.h"
#include "unit/model_test_files.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::training {
namespace {

using reference::plugins;

constexpr const char* kShape =
    "hidden_size: 16\nintermediate_size: 24\nnum_hidden_layers: 1\nnum_attention_heads: 2\nvocab_size: 64\n"
    "max_position_embeddings: 64\ninitializer_range: 0.2\n";
constexpr const char* kMix =
    "mix: [{sort: {tokens: 4, vocab: 64}, share: 1, weight: 8}, {reverse: {tokens: 8, vocab: 64}, share: 3}]";

struct SmallModel {
  model_test::TempFolder folder;
  experiment::ModelSource source = experiment::ModelSource::open(folder.write("model.yaml", kShape));
  model::Decoder decoder = [&] {
    const experiment::ComponentLookup lookup = experiment::lookup_in(plugins());
    experiment::Arm arm;
    arm.attention = experiment::parse_layered(Kind::attention, "mha", "the model", lookup);
    arm.position = experiment::parse_layered(Kind::position, "rope", "the model", lookup);
    arm.cache = experiment::parse_layered(Kind::cache, "full", "the model", lookup);
    return experiment::build_decoder(experiment::resolve_arm(arm, source.config(), plugins()), source, plugins(),
                                     {.seed = 3, .widen = true});
  }();
  TrainedModel trained{decoder};

  // Of one batch, all gradients one after the other.
  std::vector<double> gradients(const std::vector<TrainingSequence>& batch, BatchLoss& loss) {
    trained.parameters().clear_gradients();
    loss = trained.accumulate(batch, 1);
    std::vector<double> all;
    for (const TrainedParameter& parameter : trained.parameters().all())
      all.insert(all.end(), parameter.gradient.begin(), parameter.gradient.end());
    return all;
  }
};

TEST(LossWeights, SumsAndGradientsAreLinearInThem) {
  SmallModel model;
  const auto task = tasks::task_of("mix: [{sort: {tokens: 4, vocab: 64}, share: 1}, {reverse: {vocab: 64}, share: 1}]");
  const tasks::Example one = tasks::example_of(*task, 0), two = tasks::example_of(*task, 1);
  BatchLoss of_one, of_two, of_both;
  const std::vector<double> first = model.gradients({{one.input, one.targets}}, of_one);
  const std::vector<double> second = model.gradients({{two.input, two.targets}}, of_two);
  const std::vector<double> both =
      model.gradients({{one.input, one.targets, 0.25}, {two.input, two.targets, 3}}, of_both);
  EXPECT_NEAR(of_both.sum, 0.25 * of_one.sum + 3 * of_two.sum, 1e-5 * of_both.sum);
  EXPECT_DOUBLE_EQ(of_both.weights,
                   0.25 * static_cast<double>(of_one.predicted) + 3 * static_cast<double>(of_two.predicted));
  EXPECT_EQ(of_both.predicted, of_one.predicted + of_two.predicted);
  double largest = 0;
  for (const double gradient : both) largest = std::max(largest, std::abs(gradient));
  for (std::size_t i = 0; i < both.size(); ++i)
    ASSERT_NEAR(both[i], 0.25 * first[i] + 3 * second[i], 1e-5 * largest) << i;
}

TEST(LossWeights, AMixtureGivesEachTaskItsOwn) {
  // Markov chains have an optimum that is not 0.
  const auto task = tasks::task_of(
      "mix: [{sort: {tokens: 4, vocab: 64}, share: 1, weight: 8}, {markov: {states: 3, length: 16}, share: 1, weight: "
      "0.5}]");
  SmallModel model;
  double sum = 0, weights = 0, optimum = 0;
  std::int64_t correct = 0, predicted = 0;
  for (int index = 0; index < 40; ++index) {
    const tasks::Example example =
        tasks::example_of(*task, index, tasks::Split::validation, 0);  // as the evaluation draws them
    EXPECT_EQ(example.weight, example.input.size() == 8 ? 8 : 0.5);
    const TrainingSequence sequence{example.input, example.targets};
    const BatchLoss loss = model.trained.evaluate({&sequence, 1});
    sum += example.weight * loss.sum;
    for (const double nats : example.optimum) optimum += example.weight * nats;
    weights += example.weight * static_cast<double>(loss.predicted);
    correct += loss.correct;
    predicted += loss.predicted;
  }
  const HeldOut held = evaluate(model.trained, *task, 8, 5);
  EXPECT_NEAR(held.loss, sum / weights, 1e-5);
  EXPECT_GT(optimum, 0);
  EXPECT_NEAR(*held.above_optimum, (sum - optimum) / weights, 1e-5);
  EXPECT_DOUBLE_EQ(held.accuracy, static_cast<double>(correct) / static_cast<double>(predicted));
}

TEST(LossWeights, AreAboveZero) {
  EXPECT_EQ(tasks::problems_of("mix: [{sort: {tokens: 4}, share: 1, weight: 0}]"),
            "f.yaml:1:45: mix: a task needs a weight above 0; write {TASK: {OPTION: VALUE}, share: 0.5, weight: "
            "10}\n");
  EXPECT_EQ(tasks::task_of(kMix)->facts().resolved.at("mix").at(0).at("weight"), 8);
  EXPECT_FALSE(tasks::task_of(kMix)->facts().resolved.at("mix").at(1).contains("weight"));
}

}  // namespace
}  // namespace attnlab::training
