// KL to the baseline as a run reports it, held against a slow computation in double precision from what `attnlab
// logits` writes; and what becomes of it where the baseline's predictions are lost.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kText = "A model that was never trained reads a short text, and two caches remember it.\n";
constexpr int kContext = 24;

class Quality : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("text.txt", kText);
    sandbox_.write("study.yaml", Experiment{.arms = "[{name: full}, {name: again}, "
                                                    "{name: short, cache: {window: {window: 6}}}]",
                                            .workloads = "[{perplexity: {text: text.txt, context: 24, prefill: 1}}]"}
                                     .yaml());
  }
  Outcome run(std::vector<std::string> more = {}) const {
    std::vector<std::string> command{"run", "study.yaml", "-o", "out", "--threads", "2"};
    command.insert(command.end(), more.begin(), more.end());
    return sandbox_.run(command);
  }
  // BOS first.
  std::vector<int> ids_of_text() const {
    const Outcome outcome = sandbox_.run({"tokenize", kTinyModel, "--file", "text.txt", "--special"});
    expect_well(outcome);
    std::istringstream words(outcome.out);
    return {std::istream_iterator<int>(words), {}};
  }
  // [tokens, vocab] of one window that is fed token by token.
  std::vector<std::vector<double>> log_probabilities(const std::vector<int>& window, const std::string& cache) const {
    sandbox_.write("ids.txt", fmt::format("{}", fmt::join(window, " ")));
    expect_well(sandbox_.run({"logits", kTinyModel, "--ids", "ids.txt", "--cache", cache, "--chunk", "1", "--threads",
                              "2", "-o", "logits.safetensors"}));
    return read_log_probabilities(sandbox_ / "logits.safetensors", window.size());
  }
  static std::vector<std::vector<double>> read_log_probabilities(const fs::path& path, std::size_t tokens);

  nlohmann::json trial(const std::string& arm) const {
    for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials"))
      if (entry.path().extension() == ".json")
        if (const nlohmann::json one = nlohmann::json::parse(read_file(entry.path())); one.at("arm") == arm) return one;
    ADD_FAILURE() << "no trial of " << arm;
    return {};
  }
  static std::optional<double> value(const nlohmann::json& trial, const std::string& metric) {
    for (const nlohmann::json& sample : trial.at("samples"))
      if (sample.at("metric") == metric) return sample.at("value").get<double>();
    return std::nullopt;
  }

  Sandbox sandbox_;
};

// The file is a length, a JSON header, and the one tensor that it holds.
std::vector<std::vector<double>> Quality::read_log_probabilities(const fs::path& path, std::size_t tokens) {
  const std::string file = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof header);
  std::vector<float> all((file.size() - 8 - header) / sizeof(float));
  std::memcpy(all.data(), file.data() + 8 + header, all.size() * sizeof(float));
  const std::size_t vocab = all.size() / tokens;
  std::vector<std::vector<double>> rows;
  for (std::size_t token = 0; token < tokens; ++token) {
    std::vector<double> row(all.begin() + static_cast<std::ptrdiff_t>(token * vocab),
                            all.begin() + static_cast<std::ptrdiff_t>((token + 1) * vocab));
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double logit : row) sum += std::exp(logit - largest);
    for (double& logit : row) logit -= largest + std::log(sum);
    rows.push_back(std::move(row));
  }
  return rows;
}

// The 256 most likely tokens of `p`, and the rest as one bucket.
double slow_kl(const std::vector<double>& p, const std::vector<double>& q) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  double kl = 0, rest_p = 0, rest_q = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i < 256) {
      kl += std::exp(p[order[i]]) * (p[order[i]] - q[order[i]]);
    } else {
      rest_p += std::exp(p[order[i]]);
      rest_q += std::exp(q[order[i]]);
    }
  }
  return rest_p > 0 ? kl + rest_p * std::log(rest_p / rest_q) : kl;
}

std::size_t top(const std::vector<double>& row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

TEST_F(Quality, KlAndSameTopTokenAreThoseOfTheLogits) {
  expect_well(run());
  const std::vector<int> ids = ids_of_text();
  double kl = 0;
  int counted = 0, same = 0;
  std::vector<double> kl_of_window;
  // Every window is BOS, the prompt, and the next piece of the text.
  constexpr std::size_t piece = kContext - 1;
  for (std::size_t first = 1; first < ids.size(); first += piece) {
    std::vector<int> window{ids.front()};
    window.insert(window.end(), ids.begin() + static_cast<std::ptrdiff_t>(first),
                  ids.begin() + static_cast<std::ptrdiff_t>(std::min(first + piece, ids.size())));
    const auto p = log_probabilities(window, "full"), q = log_probabilities(window, "{window: {window: 6}}");
    kl_of_window.push_back(0);
    for (std::size_t token = 0; token + 1 < window.size(); ++token) {
      const double one = slow_kl(p[token], q[token]);
      kl += one;
      kl_of_window.back() += one;
      same += top(p[token]) == top(q[token]) ? 1 : 0;
      ++counted;
    }
  }
  const nlohmann::json found = trial("short");
  ASSERT_EQ(found.at("details").at("tokens").get<int>(), counted);
  EXPECT_GT(kl, 0);
  EXPECT_NEAR(value(found, "kl_to_baseline").value(), kl / counted, 1e-6 * kl / counted);
  EXPECT_NEAR(value(found, "same_top_token").value(), static_cast<double>(same) / counted, 1e-12);
  const nlohmann::json& windows = found.at("details").at("windows");
  ASSERT_EQ(windows.at("kl").size(), kl_of_window.size());
  for (std::size_t i = 0; i < kl_of_window.size(); ++i)
    EXPECT_NEAR(windows.at("kl")[i].get<double>(), kl_of_window[i], 1e-6 * kl_of_window[i] + 1e-12) << "window " << i;
  EXPECT_EQ(windows.at("nll").size(), kl_of_window.size());
}

TEST_F(Quality, TheSameArmUnderAnotherNameIsTheSameToTheBit) {
  expect_well(run());
  for (const char* arm : {"full", "again"}) {
    EXPECT_EQ(value(trial(arm), "kl_to_baseline"), 0.0) << arm;
    EXPECT_EQ(value(trial(arm), "same_top_token"), 1.0) << arm;
  }
  EXPECT_EQ(value(trial("full"), "nll_per_token"), value(trial("again"), "nll_per_token"));
  EXPECT_EQ(trial("full").at("details").at("windows"), trial("again").at("details").at("windows"));
}

// The text ends with a piece of a window, which must not stand for all.
TEST_F(Quality, BytesOfTheCacheAreThoseOfAWholeWindow) {
  sandbox_.write("study.yaml", Experiment{.arms = "[{cache: {full: {storage: {k: f32, v: f32, page: 4}}}}]",
                                          .workloads = "[{perplexity: {text: text.txt, context: 24, prefill: 1}}]"}
                                   .yaml());
  expect_well(run());
  ASSERT_NE((ids_of_text().size() - 1) % (kContext - 1), 0U);
  const nlohmann::json found = trial("gqa/rope/full");
  EXPECT_GT(value(found, "kv_bytes_allocated").value(), 0);
  EXPECT_EQ(value(found, "kv_bytes_allocated"), value(found, "kv_bytes_peak"));
}

TEST_F(Quality, WithoutTheBaselinesPredictionsThereIsANoteAndNoKl) {
  expect_well(run());
  fs::path lost;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials"))
    if (entry.path().extension() == ".topk") lost = entry.path();
  ASSERT_FALSE(lost.empty());
  std::ofstream(lost, std::ios::binary | std::ios::trunc) << "not what it was";
  const std::string id = trial("short").at("id");
  fs::remove(sandbox_ / "out/trials" / (id + ".json"));
  expect_well(run({"--resume"}));
  const nlohmann::json found = trial("short");
  EXPECT_TRUE(value(found, "nll_per_token").has_value());
  EXPECT_FALSE(value(found, "kl_to_baseline").has_value());
  expect_mentions(found.at("details").at("notes").dump(), {"no KL to the baseline", "damaged"});
}

}  // namespace
}  // namespace attnlab::program_test
