// attnlab compose: what goes together. One line for every attention, position and cache, a column for every storage;
// the reasons of refusals and the notes below, numbered.
#include <fmt/format.h>

#include <algorithm>

#include "assembly/compose.h"
#include "cli/command.h"

namespace attnlab::cli {
namespace {

struct Choices {
  std::string attention, position, cache;
  std::vector<std::filesystem::path> plugins;
};

// Sentences by the order in which they came up.
class Numbered {
 public:
  explicit Numbered(char mark) : mark_(mark) {}
  std::string of(const std::string& sentence) {
    const auto found = std::find(sentences_.begin(), sentences_.end(), sentence);
    const auto index = found - sentences_.begin();
    if (found == sentences_.end()) sentences_.push_back(sentence);
    return fmt::format("{}{}", mark_, index + 1);
  }
  void print(const char* title) const {
    if (sentences_.empty()) return;
    fmt::print("\n{}\n", title);
    for (std::size_t i = 0; i < sentences_.size(); ++i) fmt::print("  {}{}  {}\n", mark_, i + 1, sentences_[i]);
  }

 private:
  char mark_;
  std::vector<std::string> sentences_;
};

// "no: r1 r3", "yes: n2", "yes".
std::string verdict(const experiment::Composition& cell, Numbered& reasons, Numbered& notes) {
  std::string marks;
  for (const std::string& reason : cell.reasons) marks += ' ' + reasons.of(reason);
  if (!marks.empty()) return "no" + marks;
  for (const std::string& note : cell.notes) marks += ' ' + notes.of(note);
  return "yes" + marks;
}

int compose(const Choices& chosen) {
  const Registry registry = Registry::standard(chosen.plugins);
  const auto attentions = experiment::choices(registry, Kind::attention, chosen.attention, "--attention");
  const auto positions = experiment::choices(registry, Kind::position, chosen.position, "--position");
  const auto caches = experiment::choices(registry, Kind::cache, chosen.cache, "--cache");
  Numbered reasons('r'), notes('n');
  fmt::print("{:<14}{:<12}{:<20}", "attention", "position", "cache");
  const std::vector<experiment::StorageChoice> storages = experiment::storages(registry);
  for (const experiment::StorageChoice& storage : storages) fmt::print("{:<12}", storage.keys.id);
  fmt::print("\n");
  std::size_t refused = 0, cells = 0;
  for (const auto& attention : attentions)
    for (const auto& position : positions)
      for (const auto& cache : caches) {
        fmt::print("{:<14}{:<12}{:<20}", attention.id, position.id, cache.id);
        for (const experiment::StorageChoice& storage : storages) {
          experiment::ComponentChoice stored = cache;
          if (!stored.storage)
            stored.storage = storage;
          else if (storage != storages.front())
            continue;  // the choice names its storage: one column
          const auto cell = experiment::compose(registry, attention, position, stored);
          ++cells;
          refused += cell.conflicts.empty() ? 0 : 1;
          fmt::print("{:<12}", verdict(cell, reasons, notes));
        }
        fmt::print("\n");
      }
  reasons.print("refused because");
  notes.print("noted in the report");
  fmt::print("\n{} combinations, {} refused\n", cells, refused);
  return kAllWell;
}

}  // namespace

void add_compose(CLI::App& app, std::function<int()>& run) {
  CLI::App* command =
      app.add_subcommand("compose", "Which attention, position, cache and storage go together, and why not");
  auto chosen = std::make_shared<Choices>();
  command->add_option("--attention", chosen->attention, "Only this attention, with options as in YAML");
  command->add_option("--position", chosen->position, "Only this position");
  command->add_option("--cache", chosen->cache, "Only this cache");
  command->add_option("--plugin", chosen->plugins, "A plugin file or folder beside those of the build");
  command->callback([=, &run] { run = [=] { return compose(*chosen); }; });
}

}  // namespace attnlab::cli
