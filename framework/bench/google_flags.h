// The --benchmark_* flags: checked before Google Benchmark sees them, which would end the process with an exit code of
// its own, or print and go on.
#pragma once

#include <string>
#include <vector>

namespace attnlab::bench {

class GoogleFlags {
 public:
  /// Error for what is no flag of Google Benchmark, or has a value that it would refuse.
  explicit GoogleFlags(std::vector<std::string> flags);

  /// The value of --benchmark_<name>, the last one where it was given twice; empty where it was not given.
  [[nodiscard]] std::string value(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] bool is_set(const std::string& name) const;  // a switch
  /// Adds a flag that was not given.
  void set_default(const std::string& name, const std::string& value);

  /// Hands them to Google Benchmark. Error for what it does not take.
  void initialize() const;
  /// Whether the benchmark of this name is asked for.
  [[nodiscard]] bool selects(const std::string& name) const;

 private:
  std::vector<std::string> flags_;
};

}  // namespace attnlab::bench
