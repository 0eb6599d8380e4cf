// Arms that are measured together hold what is alike in the same memory, and compute the same bits as each by itself.
#include "runner/weights_together.h"

#include <cstring>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

#include "assembly/arm_model.h"
#include "unit/model_test_files.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

class WeightsTogetherTest : public testing::Test {
 protected:
  Plan plan(const std::string& model, const std::string& arms, const std::string& more = "") const {
    return make_plan(folder_.write("f.yaml", "name: x\nmodel: " + model + "\nthreads: 1\narms: " + arms +
                                                 "\nworkloads: [speed: {batch: q8}]\n" + more + "\n"),
                     {});
  }
  static std::vector<ProcessTask> tasks_of(const Plan& plan, std::vector<std::int64_t> seeds = {1}) {
    std::vector<ProcessTask> tasks;
    for (std::size_t arm = 0; arm < plan.arms.size(); ++arm)
      for (const std::int64_t seed : seeds) tasks.push_back({.arm = arm, .seed = seed, .round = 0, .cases = {0}});
    return tasks;
  }
  static model::Decoder decoder(const Plan& plan, const ProcessTask& task, model::SharedParts shared) {
    const PlannedArm& arm = plan.arms[task.arm];
    return build_decoder(arm.resolved, *arm.source, *plan.registry,
                         {.seed = static_cast<std::uint64_t>(task.seed), .shared = std::move(shared)});
  }
  static std::vector<float> logits(model::Decoder& decoder) {
    model::Session session = decoder.make_session(1, 8);
    const std::vector<model::TokenId> ids{3, 1, 4, 1, 5};
    const model::SequenceTokens fed{.sequence = 0, .tokens = ids, .phase = Phase::last_prefill, .prompt_length = 5};
    const auto hidden = decoder.forward(session, {&fed, 1});
    std::vector<float> logits(static_cast<std::size_t>(hidden.extent(0) * decoder.config().vocab_size));
    decoder.logits(hidden, {logits.data(), {hidden.extent(0), decoder.config().vocab_size}});
    return logits;
  }
  // How many tensors of the task stand where those of the others are, by the parts that it has.
  static std::size_t taken(const Plan& plan, const ProcessTask& task, const model::SharedParts& parts) {
    std::size_t count = 0;
    for (const model::HeldWeight& weight : plan.arms[task.arm].held_weights)
      for (const model::SharedWeights* part : parts) {
        const std::string key = weight.key(static_cast<std::uint64_t>(task.seed));
        if (part->matrix(key) != nullptr || part->table(key) != nullptr) ++count;
      }
    return count;
  }

  model_test::TempFolder folder_;
  const std::string tiny_ = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
  const std::string stored_ = std::string(ATTNLAB_TEST_DATA_DIR) + "/fixtures/models/llama-mha";
};

TEST_F(WeightsTogetherTest, ComputeTheBitsOfEachByItself) {
  for (const std::string& model : {tiny_, stored_}) {
    const Plan all = plan(model,
                          "[{attention: mha}, {attention: mqa}, {name: again, attention: mha}, {weights: bf16}, "
                          "{name: int8, weights: int8}, {name: same, attention: mqa, weights: int8}]");
    const std::vector<ProcessTask> tasks = tasks_of(all);
    WeightsTogether weights(all, tasks);
    for (std::size_t task = 0; task < tasks.size(); ++task) {
      const auto inherited = weights.of(task);
      model::Decoder shared = decoder(all, tasks[task], inherited.parts());
      model::Decoder alone = decoder(all, tasks[task], {});
      EXPECT_EQ(logits(shared), logits(alone)) << model << " " << task;
      EXPECT_EQ(shared.weight_bytes(), alone.weight_bytes());
    }
  }
}

TEST_F(WeightsTogetherTest, StandWhereAnotherHasTheSame) {
  const Plan all = plan(tiny_, "[{attention: mha}, {attention: mqa}, {name: again, attention: mha}, {weights: bf16}]");
  const std::vector<ProcessTask> tasks = tasks_of(all);
  WeightsTogether weights(all, tasks);
  const auto count = [&](std::size_t task) { return taken(all, tasks[task], weights.of(task).parts()); };
  const std::size_t held = all.arms[0].held_weights.size();
  EXPECT_EQ(count(0), held);
  EXPECT_EQ(count(2), held);
  // Two layers, each with keys and values of its own.
  EXPECT_EQ(count(1), held - 4);
  EXPECT_EQ(count(3), 0U);
  // Rows of an embedding that is not tied stay as they are stored, whatever matrices are held as.
  const Plan untied = plan(stored_, "[{name: a}, {weights: bf16}]");
  const std::vector<ProcessTask> both = tasks_of(untied);
  EXPECT_EQ(taken(untied, both[1], WeightsTogether(untied, both).of(1).parts()), 1U);
}

TEST_F(WeightsTogetherTest, AreThoseOfTheSeed) {
  const Plan all = plan(tiny_, "[{name: a}, {name: b}]");
  const std::vector<ProcessTask> seeds = tasks_of(all, {1, 2});  // a1 a2 b1 b2
  WeightsTogether weights(all, seeds);
  const auto first = weights.of(0), second = weights.of(1), third = weights.of(2);
  EXPECT_EQ(first.parts(), third.parts());
  EXPECT_NE(first.parts(), second.parts());
  EXPECT_EQ(taken(all, seeds[0], second.parts()), 0U);
  model::Decoder of_two = decoder(all, seeds[1], second.parts());
  model::Decoder alone = decoder(all, seeds[1], {});
  EXPECT_EQ(logits(of_two), logits(alone));
  // What a checkpoint stores is the same with every seed; heads that are drawn are not.
  const Plan stored = plan(stored_, "[{name: a}, {attention: {gqa: {kv_heads: 2, pool: random}}}]");
  const std::vector<ProcessTask> tasks = tasks_of(stored, {1, 2});
  WeightsTogether of_stored(stored, tasks);
  EXPECT_EQ(taken(stored, tasks[0], of_stored.of(0).parts()), stored.arms[0].held_weights.size());
  EXPECT_EQ(taken(stored, tasks[3], of_stored.of(3).parts()),
            stored.arms[1].held_weights.size() - 2 * static_cast<std::size_t>(stored.source->config().layers));
}

TEST_F(WeightsTogetherTest, AreNotThoseOfAnotherModel) {
  const Plan all = plan(tiny_, "[{name: a}, {name: b, model: {initializer_range: 0.5}}, {name: c}]");
  const std::vector<ProcessTask> tasks = tasks_of(all);
  WeightsTogether weights(all, tasks);
  EXPECT_TRUE(weights.of(1).parts().empty());
  EXPECT_EQ(weights.of(0).parts().size(), 1U);
}

TEST_F(WeightsTogetherTest, AreEachsOwnUnderALimitOfMemory) {
  const Plan all = plan(tiny_, "[{name: a}, {name: b}]", "limits: {memory: 1GiB}");
  const std::vector<ProcessTask> tasks = tasks_of(all);
  EXPECT_TRUE(WeightsTogether(all, tasks).of(0).parts().empty());
}

TEST_F(WeightsTogetherTest, AreEachsOwnWhereTheyCannotBePacked) {
  const fs::path model = folder_.path() / "model";
  fs::copy(stored_, model);
  const Plan all = plan(model.string(), "[{name: a}, {name: b}]");
  fs::remove_all(model);
  const std::vector<ProcessTask> tasks = tasks_of(all);
  EXPECT_TRUE(WeightsTogether(all, tasks).of(0).parts().empty());
}

}  // namespace
}  // namespace attnlab::experiment
