// What the commands have in common: one function each, the model options of the command line, exit codes.
#pragma once

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "assembly/arm_model.h"
#include "registry/registry.h"

namespace attnlab::cli {

inline constexpr int kAllWell = 0;
inline constexpr int kFailed = 1;      // a trial or a check failed
inline constexpr int kWrongInput = 2;  // what the user gave cannot be used

/// Adds its subcommand and sets `run` when it is chosen.
using Command = void (*)(CLI::App& app, std::function<int()>& run);

void add_list(CLI::App& app, std::function<int()>& run);
void add_describe(CLI::App& app, std::function<int()>& run);
void add_tokenize(CLI::App& app, std::function<int()>& run);
void add_generate(CLI::App& app, std::function<int()>& run);
void add_logits(CLI::App& app, std::function<int()>& run);
void add_gradients(CLI::App& app, std::function<int()>& run);
void add_train(CLI::App& app, std::function<int()>& run);
void add_replay(CLI::App& app, std::function<int()>& run);
void add_validate(CLI::App& app, std::function<int()>& run);
void add_run(CLI::App& app, std::function<int()>& run);
void add_merge(CLI::App& app, std::function<int()>& run);
void add_job(CLI::App& app, std::function<int()>& run);
void add_report(CLI::App& app, std::function<int()>& run);
void add_corpus(CLI::App& app, std::function<int()>& run);
void add_compare(CLI::App& app, std::function<int()>& run);
void add_new(CLI::App& app, std::function<int()>& run);
void add_compose(CLI::App& app, std::function<int()>& run);
void add_check(CLI::App& app, std::function<int()>& run);
void add_bench(CLI::App& app, std::function<int()>& run);
void add_schema(CLI::App& app, std::function<int()>& run);

/// What a model is loaded for: training takes f32 weights, whatever the checkpoint has, and the full cache.
enum class ModelUse : std::uint8_t { inference, training };

/// --attention, --position, --cache, --plugin, --threads, --seed, --allow-nonfinite: what every command that runs a
/// model takes.
class ModelOptions {
 public:
  void add_to(CLI::App& command, ModelUse use = ModelUse::inference);
  /// Registry, resolved arm and model in one. Error where the arm's components do not fit together.
  struct Loaded;
  [[nodiscard]] Loaded load(const std::filesystem::path& model, ModelUse use = ModelUse::inference) const;
  /// Whether weights and logits that are NaN or Inf are taken as they are.
  [[nodiscard]] bool allows_nonfinite() const noexcept { return allow_nonfinite_; }

 private:
  std::string attention_, position_, cache_, weights_, compute_;
  std::vector<std::string> plugins_;
  int threads_ = 0;
  std::uint64_t seed_ = 1;
  bool allow_nonfinite_ = false;
};

struct ModelOptions::Loaded {
  std::unique_ptr<Registry> registry;
  experiment::ModelSource source;
  experiment::ResolvedArm arm;
  model::Decoder decoder;
};

/// Prints a warning of a command: `attnlab: warning: ...` on stderr.
void warn(const std::string& text);

/// What a result does not say by itself: `attnlab: note: ...` on stderr, once all went well.
void note(const std::string& text);

/// Text of a file as it is. Error if it cannot be read.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);
/// Token ids separated by blanks, line breaks or commas. Error with the place of what is no id.
[[nodiscard]] std::vector<model::TokenId> read_ids(const std::filesystem::path& path);

}  // namespace attnlab::cli
