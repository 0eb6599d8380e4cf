// What Google Benchmark prints before the first result is about itself (the build of its library among it, which says
// nothing of ours); here a reader gets what the figures are compared with. Results are printed by its own reporters.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <sstream>
#include <string>

namespace attnlab::bench {

/// The reporter that --benchmark_format asks for, under a heading of ours where people read it (`console`, the
/// default).
class DisplayReporter final : public benchmark::BenchmarkReporter {
 public:
  /// `format`: as the flag has it; empty where it was not given. After Google Benchmark was initialized.
  DisplayReporter(std::string heading, const std::string& format);

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

 private:
  std::string heading_;
  bool is_for_people_;
  benchmark::BenchmarkReporter& form_;  // Google Benchmark keeps it
};

/// What writes the file of --benchmark_out, and nothing anywhere else. `format`: json (also where it is empty), csv or
/// console.
[[nodiscard]] std::unique_ptr<benchmark::BenchmarkReporter> file_reporter(const std::string& format);

}  // namespace attnlab::bench
