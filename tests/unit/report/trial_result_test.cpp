// A trial's file is the only thing that survives it: what is written must come back, and damage must be named.
#include "report/read/trial_result.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <limits>

#include <attnlab/error.h>

#include "report/read/text_file.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

std::string error_of(const auto& action) {
  try {
    static_cast<void>(action());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TrialResult every_field() {
  TrialResult result = trial(arm("gqa", "sink"), 3, {prefill(1.0 / 3.0), kv_bytes(440401920)});
  result.seed = 5;
  result.status = "failed";
  result.reason = "killed by signal 9";
  result.details = {{"text", "once"}, {"notes", {"converted"}}, {"deep", {{"a", 1}}}};
  return result;
}

TEST(TrialResult, EveryFieldComesBackFromItsFile) {
  const Folder folder;
  const TrialResult written = every_field();
  write_trial(folder.path(), written);
  const std::vector<TrialResult> trials = read_trials(folder.path());
  ASSERT_EQ(trials.size(), 1u);
  const TrialResult& read = trials.front();
  EXPECT_EQ(read.id, written.id);
  EXPECT_EQ(read.arm, written.arm);
  EXPECT_EQ(read.attention, written.attention);
  EXPECT_EQ(read.position, written.position);
  EXPECT_EQ(read.cache, written.cache);
  EXPECT_EQ(read.workload, written.workload);
  EXPECT_EQ(read.case_name, written.case_name);
  EXPECT_EQ(read.round, written.round);
  EXPECT_EQ(read.seed, written.seed);
  EXPECT_EQ(read.status, written.status);
  EXPECT_EQ(read.reason, written.reason);
  EXPECT_EQ(read.samples, written.samples);
  EXPECT_EQ(read.details, written.details);
}

TEST(TrialResult, DoublesComeBackBitForBit) {
  const double values[] = {0.1, 1.0 / 3.0, 1e-310, 1.7976931348623157e308, -0.0, 123456789.123456789};
  for (const double value : values) {
    const nlohmann::json json = trial(arm("mha"), 0, {prefill(value)});
    const double read = nlohmann::json::parse(json_text(json)).get<TrialResult>().samples.front().value;
    EXPECT_EQ(std::signbit(read), std::signbit(value));
    EXPECT_EQ(read, value);
  }
}

TEST(TrialResult, NanAndInfinitiesSurvive) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const nlohmann::json json = trial(arm("mha"), 0, {prefill(NAN), prefill(kInfinity), prefill(-kInfinity)});
  const auto read = nlohmann::json::parse(json_text(json)).get<TrialResult>();
  EXPECT_TRUE(std::isnan(read.samples[0].value));
  EXPECT_EQ(read.samples[1].value, kInfinity);
  EXPECT_EQ(read.samples[2].value, -kInfinity);
}

TEST(TrialResult, GeneratedTextThatIsNotUtf8IsReplacedInsteadOfLost) {
  TrialResult result = trial(arm("mha"), 0, {});
  result.details["text"] = "caf\xe9 ends";
  const auto read = nlohmann::json::parse(json_text(result)).get<TrialResult>();
  EXPECT_EQ(read.details["text"], "caf\xef\xbf\xbd ends");
}

TEST(TrialResult, KeysOfANewerWriterAreLeftAlone) {
  nlohmann::json json = trial(arm("mha"), 2, {prefill(5)});
  json["mood"] = 7;
  json["samples"][0]["blocks"] = {1, 2, 3};
  EXPECT_EQ(json.get<TrialResult>().samples.front().value, 5);
}

TEST(TrialResult, AFileOfANewerFormatIsRefused) {
  const Folder folder;
  nlohmann::json json = trial(arm("mha"), 2, {});
  json["format"] = 99;
  write_plainly(folder / "a.json", json.dump());
  const std::string error = error_of([&] { return read_trials(folder.path()); });
  EXPECT_NE(error.find("a.json: the file has format 99"), std::string::npos) << error;
}

TEST(ReadTrials, SortsByRoundAndThenByName) {
  const Folder folder;
  write_trial(folder.path(), trial(arm("mqa"), 1, {}));
  write_trial(folder.path(), trial(arm("mqa"), 0, {}));
  write_trial(folder.path(), trial(arm("gqa"), 1, {}));
  const std::vector<TrialResult> trials = read_trials(folder.path());
  ASSERT_EQ(trials.size(), 3u);
  EXPECT_EQ(trials[0].id, "mqa-full-0");
  EXPECT_EQ(trials[1].id, "gqa-full-1");
  EXPECT_EQ(trials[2].id, "mqa-full-1");
}

TEST(ReadTrials, DamagedFilesAreNamed) {
  const std::string good = json_text(trial(arm("mha"), 0, {prefill(5)}));
  nlohmann::json wrong_better = trial(arm("mha"), 0, {prefill(5)});
  wrong_better["samples"][0]["better"] = "larger";
  nlohmann::json no_round = trial(arm("mha"), 0, {});
  no_round.erase("round");
  nlohmann::json text_value = trial(arm("mha"), 0, {prefill(5)});
  text_value["samples"][0]["value"] = "fast";
  const std::string damaged[] = {"",
                                 "{",
                                 good.substr(0, good.size() / 2),
                                 "[]",
                                 "null",
                                 "\"trial\"",
                                 "{}",
                                 "\xff\xfe",
                                 good + "}",
                                 wrong_better.dump(),
                                 no_round.dump(),
                                 text_value.dump()};
  for (const std::string& text : damaged) {
    const Folder folder;
    write_plainly(folder / "0123abcd.json", text);
    const std::string error = error_of([&] { return read_trials(folder.path()); });
    EXPECT_TRUE(error.starts_with((folder / "0123abcd.json").string() + ": ")) << text << " -> " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(ReadTrials, AMissingFolderIsNamed) {
  const Folder folder;
  const std::string error = error_of([&] { return read_trials(folder / "trials"); });
  EXPECT_TRUE(error.starts_with((folder / "trials").string() + ": cannot be read: ")) << error;
}

TEST(ReadTrials, IgnoresWhatAKilledWriterLeftBehind) {
  const Folder folder;
  write_plainly(folder / ".0123.json.77-0.tmp", "{\"id\":");
  EXPECT_TRUE(read_trials(folder.path()).empty());
}

TEST(WriteAtomically, ReplacesTheWholeFileAndLeavesNothingBeside) {
  const Folder folder;
  write_atomically(folder / "a.csv", "a long first text\n");
  write_atomically(folder / "a.csv", "short\n");
  EXPECT_EQ(read_text(folder / "a.csv"), "short\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  write_atomically(folder / "empty", "");
  EXPECT_EQ(read_text(folder / "empty"), "");
}

TEST(WriteAtomically, FailuresNameTheFileAndLeaveNothingBehind) {
  const Folder folder;
  const std::string missing = error_of([&] { write_atomically(folder / "gone/a.csv", "text"); });
  EXPECT_EQ(missing,
            (folder / "gone/a.csv").string() + ": cannot be written: No such file or directory; the folder must exist");
  std::filesystem::create_directory(folder / "taken");
  const std::string taken = error_of([&] { write_atomically(folder / "taken", "text"); });
  EXPECT_TRUE(taken.starts_with((folder / "taken").string() + ": cannot be written: ")) << taken;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteAtomically, AWriteThatEndsEarlyKeepsTheOldFile) {
  const Folder folder;
  write_atomically(folder / "a.csv", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  const std::string error = error_of([&] { write_atomically(folder / "a.csv", std::string(100'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error, (folder / "a.csv").string() + ": cannot be written: File too large");
  EXPECT_EQ(read_text(folder / "a.csv"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(ReadText, SaysWhyAFileCannotBeRead) {
  const Folder folder;
  EXPECT_EQ(error_of([&] { return read_text(folder / "a"); }),
            (folder / "a").string() + ": cannot be read: No such file or directory");
  EXPECT_EQ(error_of([&] { return read_text(folder.path()); }), folder.path().string() + ": is a folder, not a file");
}

}  // namespace
}  // namespace attnlab::report::test
