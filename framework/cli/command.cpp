#include "cli/command.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <attnlab/error.h>

#include "choices/layered_choice.h"
#include "choices/plain_components.h"
#include "parallel/parallel.h"

namespace attnlab::cli {

void ModelOptions::add_to(CLI::App& command, ModelUse use) {
  command.add_option("--attention", attention_,
                     "Attention: NAME or '{NAME: {OPTION: VALUE}}'; default: the model's own");
  command.add_option("--position", position_,
                     fmt::format("Position scheme; default: {} as the model has it", experiment::kPlainPosition));
  if (use == ModelUse::inference)
    command.add_option("--cache", cache_, fmt::format("Cache policy; default: {}", experiment::kPlainCache));
  if (use == ModelUse::inference)
    command.add_option("--weights", weights_, "How matrices are held: f32, bf16, int8 or int4; default: as stored")
        ->check(CLI::IsMember(std::vector<std::string>(kWeightTypes.begin(), kWeightTypes.end())));
  if (use == ModelUse::inference)
    command.add_option("--compute", compute_, "What products of many tokens multiply: f32 (the default) or bf16")
        ->check(CLI::IsMember(std::vector<std::string>(kArithmetics.begin(), kArithmetics.end())));
  command.add_option("--plugin", plugins_, "A plugin file or folder beside those of the build");
  command.add_option("--threads", threads_, "Threads; default: all processors")->check(CLI::Range(1, 1024));
  command.add_option("--weights-seed", seed_, "Seed of the weights of a model YAML");
  command.add_flag("--allow-nonfinite", allow_nonfinite_, "Take weights and logits that hold NaN or Inf as they are");
}

ModelOptions::Loaded ModelOptions::load(const std::filesystem::path& model, ModelUse use) const {
  if (threads_ > 0) set_threads(threads_);
  const std::vector<std::filesystem::path> plugins(plugins_.begin(), plugins_.end());
  auto registry = std::make_unique<Registry>(Registry::standard(plugins));
  const experiment::ComponentLookup lookup = experiment::lookup_in(*registry);
  experiment::ModelSource source = experiment::ModelSource::open(model);
  const experiment::ArmDefaults own = experiment::arm_defaults(source.config());
  const auto choice = [&](Kind kind, const std::string& text, const std::string& default_id, const char* flag) {
    return experiment::parse_layered(kind, text.empty() ? default_id : text, flag, lookup);
  };
  experiment::Arm chosen;
  chosen.attention = choice(Kind::attention, attention_, own.attention, "--attention");
  chosen.position = choice(Kind::position, position_, own.position, "--position");
  chosen.cache = choice(Kind::cache, cache_, own.cache, "--cache");
  chosen.weights = element_type(weights_);
  chosen.compute = arithmetic_of(compute_);
  const experiment::ResolvedArm arm = experiment::resolve_arm(chosen, source.config(), *registry);
  if (!arm.conflicts.empty()) {
    std::vector<Problem> problems;
    for (const std::string& conflict : arm.conflicts) problems.push_back({"", conflict, ""});
    throw Error(std::move(problems));
  }
  model::Decoder decoder = experiment::build_decoder(arm, source, *registry,
                                                     {.seed = seed_,
                                                      .allow_nonfinite = allow_nonfinite_,
                                                      .check_only = false,
                                                      .widen = use == ModelUse::training,
                                                      .trains = use == ModelUse::training});
  for (const std::string& note : decoder.notes()) warn(note);
  return {std::move(registry), std::move(source), arm, std::move(decoder)};
}

void warn(const std::string& text) {
  fmt::print(stderr, "attnlab: warning: {}\n", text);
}

void note(const std::string& text) {
  fmt::print(stderr, "attnlab: note: {}\n", text);
}

std::string read_text(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw Error(path.string(), "is a folder, not a file");
  std::ifstream stream(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) throw Error(path.string(), "the file cannot be read");
  return text;
}

std::vector<model::TokenId> read_ids(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  std::vector<model::TokenId> ids;
  int line = 1;
  std::size_t line_start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
      line_start = at + 1;
    }
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',') {
      ++at;
      continue;
    }
    model::TokenId id = 0;
    const auto [end, fault] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    const std::size_t stop = static_cast<std::size_t>(end - text.data());
    const bool ends = stop == text.size() || std::string_view(" \n\r\t,").find(text[stop]) != std::string_view::npos;
    if (fault != std::errc() || !ends || id < 0)
      throw Error(fmt::format("{}:{}:{}", path.string(), line, at - line_start + 1), "is no token id",
                  "token ids are whole numbers from 0, separated by blanks or commas");
    ids.push_back(id);
    at = stop;
  }
  return ids;
}

}  // namespace attnlab::cli
