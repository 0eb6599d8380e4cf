#include "study/train_workload.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

#include <attnlab/error.h>

namespace attnlab::experiment {
namespace {

const WorkloadKind kTrain{.name = "train",
                          .doc = "How the training of each arm ended.",
                          .place = 0,
                          .is_deterministic = true,
                          .has_written_labels = true};

class TrainWorkload final : public Workload {
 public:
  explicit TrainWorkload(std::shared_ptr<const TrainedAs> trained) : trained_(std::move(trained)) {}

  CaseSize size(std::size_t, ModelTexts&) const override { return {.longest = trained_->length}; }
  std::vector<CaseFeeding> feedings(std::size_t, const CaseSize&) const override { return {}; }
  // Trainings are counted one by one, since arms share them: training_seconds.
  double seconds(std::size_t, const CaseSize&, const ForwardTime&) const override { return 0; }
  CaseRows most_rows(std::size_t, const CaseSize&) const override { return {.rows = 0, .sequences = 0}; }
  Measured measure(std::size_t, const TrialContext&) const override {
    ATTNLAB_CHECK(false, "a training is no measurement of a model that is there");
    return {};
  }
  std::map<std::string, double> numbers(std::size_t) const override {
    std::map<std::string, double> numbers{{"length", trained_->length},
                                          {"sequences", static_cast<double>(trained_->choice.batch)}};
    if (trained_->steps) numbers["steps"] = static_cast<double>(*trained_->steps);
    return numbers;
  }
  std::map<std::string, std::string> data(FileHashes&, const std::vector<std::int64_t>&) const override {
    return {{"task", trained_->facts.resolved.dump()}, {"task_sha256", trained_->task_digest}};
  }
  void identify(nlohmann::ordered_json& identity, FileHashes&) const override {
    identity.push_back(training::describe_train(trained_->choice));
    identity.push_back(trained_->task_digest);
  }
  void describe(nlohmann::ordered_json& planned, std::int64_t) const override {
    planned["train"] = experiment::describe(*trained_);
  }

 private:
  std::shared_ptr<const TrainedAs> trained_;
};

// "recall_steps3000"
std::string label_of(const TrainedAs& trained) {
  return fmt::format("{}_{}{}", trained.facts.name, training::length_name(trained.choice.length.unit),
                     trained.choice.length.count);
}

}  // namespace

ChosenWorkload train_workload(std::shared_ptr<const TrainedAs> trained) {
  std::string label = label_of(*trained);
  return {&kTrain, {std::move(label)}, std::make_shared<TrainWorkload>(std::move(trained))};
}

bool is_train(const WorkloadKind& kind) {
  return &kind == &kTrain;
}

}  // namespace attnlab::experiment
