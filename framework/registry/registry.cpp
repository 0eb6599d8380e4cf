#include "registry/registry.h"

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "registry/guarded.h"
#include "registry/plugin_compiler.h"
#include "registry/stamp.h"

namespace attnlab {
namespace fs = std::filesystem;

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::attention:
      return "attention";
    case Kind::position:
      return "position";
    case Kind::cache:
      return "cache";
    case Kind::storage:
      return "storage";
  }
  return "";
}

std::string component_name(Kind kind, std::string_view id) {
  return std::string(kind_name(kind)) + " \"" + std::string(id) + "\"";
}

namespace {

// Kept until the process ends, as plugins are: leaked on purpose.
Callee& new_callee(std::string name, const fs::path& file) {
  static auto& all = *new std::vector<std::unique_ptr<Callee>>;
  return *all.emplace_back(std::make_unique<Callee>(std::move(name), file.string()));
}

// Never unloaded: objects of a plugin, its type information and anything that TBB or the C library registered for it
// may be needed until the process is gone. Leaked on purpose.
void keep_open(boost::dll::shared_library library) {
  static auto& open = *new std::vector<boost::dll::shared_library>;
  open.push_back(std::move(library));
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// Names between dots: the option is written in maps inside each other.
bool is_option_name(std::string_view text) {
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.')) {
    if (!is_name(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
  }
  return is_name(text);
}

// Bounds that hold no value, or not the default; empty: none of it.
std::string bounds_fault(const OptionSpec& option) {
  if (!(option.min <= option.max)) return "without a value between its bounds";
  if (option.type == OptionType::choice && option.choices.empty()) return "without choices (specialise kChoices)";
  const auto outside = [&](double value) { return !(value >= option.min && value <= option.max); };
  if (const auto* whole = std::get_if<std::int64_t>(&option.default_value);
      whole && outside(static_cast<double>(*whole)))
    return "with a default outside its bounds";
  if (const auto* real = std::get_if<double>(&option.default_value); real && outside(*real))
    return "with a default outside its bounds";
  return {};
}

// What the table of a plugin gets wrong, as one line; empty where all is well.
template <class Interface>
std::string component_problem(const Component<Interface>& component) {
  if (!is_name(component.id)) return "it has a component without a proper name";
  const std::string name = "component \"" + std::string(component.id) + "\"";
  if (component.traits == nullptr || component.options == nullptr || component.check == nullptr ||
      component.create == nullptr)
    return name + " lacks a function (make it with attnlab::component)";
  std::set<std::string> seen;
  for (const OptionSpec& option : component.options()) {
    if (!is_option_name(option.name)) return name + " declares an option without a proper name";
    if (std::string fault = bounds_fault(option); !fault.empty())
      return name + " declares the option \"" + option.name + "\" " + fault;
    if (option.name == "storage" || option.name == "keys")
      return name + " declares the option \"" + option.name + "\", which every cache has already";
    if (!seen.insert(option.name).second) return name + " declares the option \"" + option.name + "\" twice";
  }
  return {};
}

// Where a component comes from.
struct Origin {
  fs::path file;
  fs::path source;  // empty: nothing was compiled
  [[nodiscard]] const fs::path& shown() const { return source.empty() ? file : source; }
};

}  // namespace

struct Registry::Content {
  std::vector<Descriptor> components;
  std::vector<Callee*> callees;  // of the components
  std::vector<Refusal> refusals;
  std::vector<const Component<AttentionVariant>*> attention;
  std::vector<const Component<PositionScheme>*> position;
  std::vector<const Component<CachePolicy>*> cache;
  std::vector<const Component<Storage>*> storage;
  std::set<fs::path> seen;

  template <class Interface>
  const Component<Interface>* table(const std::vector<const Component<Interface>*>& all, std::string_view id) const {
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto* c) { return c->id == id; });
    return found == all.end() ? nullptr : *found;
  }

  template <class Function>
  auto with(const Descriptor& component, const Function& function) const {
    switch (component.kind) {
      case Kind::attention:
        return function(*table(attention, component.id));
      case Kind::position:
        return function(*table(position, component.id));
      case Kind::cache:
        return function(*table(cache, component.id));
      case Kind::storage:
        break;
    }
    return function(*table(storage, component.id));
  }

  template <class Interface>
  std::string take_problem(Kind kind, std::span<const Component<Interface>> of_plugin,
                           const std::vector<const Component<Interface>*>& known) const {
    std::set<std::string_view> own;
    for (const Component<Interface>& component : of_plugin) {
      if (std::string problem = component_problem(component); !problem.empty()) return problem;
      const std::string what = component_name(kind, component.id);
      if (!own.insert(component.id).second) return "it has " + what + " twice";
      if (table(known, component.id) != nullptr)
        for (const Descriptor& other : components)
          if (other.kind == kind && other.id == component.id)
            return what + " is already there, from " + other.file.string() + "; rename one of the two";
    }
    return {};
  }

  template <class Interface>
  void take(Kind kind, std::span<const Component<Interface>> of_plugin, std::vector<const Component<Interface>*>& known,
            const Plugin& plugin, const Origin& origin) {
    for (const Component<Interface>& component : of_plugin) {
      known.push_back(&component);
      callees.push_back(&new_callee(component_name(kind, component.id), origin.shown()));
      components.push_back({.kind = kind,
                            .id = std::string(component.id),
                            .summary = std::string(component.summary),
                            .reference = std::string(component.reference),
                            .options = component.options(),
                            .plugin = std::string(plugin.name),
                            .version = std::string(plugin.version),
                            .file = origin.file,
                            .source = origin.source});
    }
  }

  void refuse(const fs::path& file, bool requested, std::string reason, std::string details = {}) {
    refusals.push_back({file, file.stem().string(), std::move(reason), std::move(details), requested});
  }

  void load(const fs::path& file, bool requested, const fs::path& source = {}) {
    std::error_code error;
    const fs::path canonical = fs::canonical(file, error);
    if (error) return refuse(file, requested, "the file cannot be read");
    if (!seen.insert(canonical).second) return;
    if (!fs::is_regular_file(canonical)) return refuse(file, requested, "not a plugin: no regular file");
    if (StampCheck stamp = check_stamp(canonical); !stamp.fits)
      return refuse(file, requested, std::move(stamp.reason), std::move(stamp.details));
    const Origin origin{file, source};
    const PluginCall call(new_callee("plugin", origin.shown()), "load");  // constructors of the file's objects run
    try {
      boost::dll::shared_library library(canonical,
                                         boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
      if (!library.has("attnlab_plugin")) {
        keep_open(std::move(library));
        return refuse(file, requested, "it lacks the symbol attnlab_plugin");
      }
      const Plugin& plugin = library.get<const Plugin>("attnlab_plugin");
      keep_open(std::move(library));
      take_all(plugin, origin, requested);
    } catch (...) {
      refuse(file, requested, "it cannot be loaded: " + current_exception_text());
    }
  }

  void take_all(const Plugin& plugin, const Origin& origin, bool requested) {
    std::string problem;
    if (!is_name(plugin.name)) problem = "the plugin has no proper name";
    if (problem.empty() && plugin.attention.empty() && plugin.position.empty() && plugin.cache.empty() &&
        plugin.storage.empty())
      problem = "the plugin has no components";
    if (problem.empty()) problem = take_problem(Kind::attention, plugin.attention, attention);
    if (problem.empty()) problem = take_problem(Kind::position, plugin.position, position);
    if (problem.empty()) problem = take_problem(Kind::cache, plugin.cache, cache);
    if (problem.empty()) problem = take_problem(Kind::storage, plugin.storage, storage);
    if (!problem.empty()) return refuse(origin.file, requested, problem);
    take(Kind::attention, plugin.attention, attention, plugin, origin);
    take(Kind::position, plugin.position, position, plugin, origin);
    take(Kind::cache, plugin.cache, cache, plugin, origin);
    take(Kind::storage, plugin.storage, storage, plugin, origin);
  }

  void load_folder(const fs::path& folder, bool requested) {
    std::error_code error;
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
      if (entry->path().extension() == ".so") files.push_back(entry->path());
    if (error && requested) throw Error(folder.string(), "the plugin folder cannot be read: " + error.message());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) load(file, requested);
  }

  // What is wrong with the shared object of a source is said of the source.
  void load_source(const fs::path& source) {
    const std::size_t before = refusals.size();
    load(compiled_plugin(source), true, source);
    for (std::size_t index = before; index < refusals.size(); ++index) {
      refusals[index].file = source;
      refusals[index].name = source.stem().string();
    }
  }

  template <class Interface>
  std::unique_ptr<Interface> create(Kind kind, const std::vector<const Component<Interface>*>& known,
                                    std::string_view id, const OptionValues& values,
                                    const CreateContext& context) const {
    const Component<Interface>* component = table(known, id);
    ATTNLAB_CHECK(component != nullptr, "a component that was not resolved");
    Callee& callee = callee_of(kind, id);
    std::unique_ptr<Interface> made;
    try {
      const PluginCall call(callee, "create");
      made = component->create(values, context);
    } catch (const Error& error) {
      // What the component says of its options; the place is where they were written, which the caller knows.
      throw OptionError("", callee.name() + ": " + error.problems().front().what, error.problems().front().remedy);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {
      throw PluginError("", callee.text() + " failed to be made: it threw " + current_exception_text());
    }
    if (made == nullptr) throw PluginError("", callee.text() + " failed to be made: its factory returned null");
    return guarded(callee, std::move(made));
  }

  Callee& callee_of(Kind kind, std::string_view id) const {
    std::size_t index = 0;
    while (components[index].kind != kind || components[index].id != id) ++index;
    return *callees[index];
  }
};

OptionError::~OptionError() = default;

Registry::Registry(std::unique_ptr<Content> content) : content_(std::move(content)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Registry Registry::load(std::span<const fs::path> folders, std::span<const fs::path> requested) {
  auto content = std::make_unique<Content>();
  for (const fs::path& folder : folders) content->load_folder(folder, false);
  std::vector<Problem> problems;  // of sources that do not compile, all of them
  for (const fs::path& path : requested) {
    std::error_code error;
    try {
      if (fs::is_directory(path, error))
        content->load_folder(path, true);
      else if (is_plugin_source(path))
        content->load_source(path);
      else
        content->load(path, true);
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
  return Registry(std::move(content));
}

Registry Registry::standard(std::span<const fs::path> requested) {
  // Beside the library: <build>/lib and <build>/plugins, or <prefix>/lib and <prefix>/lib/attnlab/plugins.
  const fs::path library = fs::path(boost::dll::this_line_location()).parent_path();
  const fs::path installed = library / "attnlab" / "plugins";
  std::error_code error;
  std::vector<fs::path> folders{fs::is_directory(installed, error) ? installed : library.parent_path() / "plugins"};
  if (const char* path = std::getenv("ATTNLAB_PLUGIN_PATH")) {
    std::string_view rest(path);
    while (!rest.empty()) {
      const std::size_t colon = std::min(rest.find(':'), rest.size());
      if (colon > 0) folders.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
  }
  Registry registry = load(folders, requested);
  std::vector<Problem> problems;
  for (const Refusal& refusal : registry.refusals())
    if (refusal.requested) problems.push_back({refusal.file.string(), "plugin refused: " + refusal.reason, {}});
  if (!problems.empty()) throw Error(std::move(problems));
  return registry;
}

const std::vector<Descriptor>& Registry::components() const noexcept {
  return content_->components;
}
const std::vector<Refusal>& Registry::refusals() const noexcept {
  return content_->refusals;
}

const Descriptor* Registry::find(Kind kind, std::string_view id) const noexcept {
  const auto& all = content_->components;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Descriptor& d) { return d.kind == kind && d.id == id; });
  return found == all.end() ? nullptr : &*found;
}

const Descriptor& Registry::get(Kind kind, std::string_view id, const std::string& where) const {
  if (const Descriptor* found = find(kind, id)) return *found;
  const std::string what = std::string(kind_name(kind)) + " \"" + std::string(id) + "\"";
  for (const Refusal& refusal : refusals())
    if (refusal.name == id)
      throw Error(where, what + " is not available: plugin refused: " + refusal.file.string() + ": " + refusal.reason);
  const std::string nearest = nearest_name(std::string(id), ids(kind));
  std::string all;
  for (const std::string& name : ids(kind)) all += (all.empty() ? "" : ", ") + name;
  throw Error(where, "unknown " + what, nearest.empty() ? "known: " + all : "did you mean \"" + nearest + "\"?");
}

std::vector<std::string> Registry::ids(Kind kind) const {
  std::vector<std::string> names;
  for (const Descriptor& component : content_->components)
    if (component.kind == kind) names.push_back(component.id);
  std::sort(names.begin(), names.end());
  return names;
}

void Registry::check(const Descriptor& component, const OptionValues& values, Problems& problems) const {
  Callee& callee = content_->callee_of(component.kind, component.id);
  content_->with(component, [&](const auto& table) {
    call_plugin(callee, "Options::check", [&] { table.check(values, problems); });
  });
}

Traits Registry::traits(const Descriptor& component, const OptionValues& values) const {
  Callee& callee = content_->callee_of(component.kind, component.id);
  return content_->with(component, [&](const auto& table) {
    return call_plugin(callee, "traits", [&] { return table.traits(values); });
  });
}

std::unique_ptr<AttentionVariant> Registry::attention(std::string_view id, const OptionValues& values,
                                                      const CreateContext& context) const {
  return content_->create(Kind::attention, content_->attention, id, values, context);
}
std::unique_ptr<PositionScheme> Registry::position(std::string_view id, const OptionValues& values,
                                                   const CreateContext& context) const {
  return content_->create(Kind::position, content_->position, id, values, context);
}
std::unique_ptr<CachePolicy> Registry::cache(std::string_view id, const OptionValues& values,
                                             const CreateContext& context) const {
  return content_->create(Kind::cache, content_->cache, id, values, context);
}
std::unique_ptr<Storage> Registry::storage(std::string_view id, const OptionValues& values,
                                           const CreateContext& context) const {
  return content_->create(Kind::storage, content_->storage, id, values, context);
}

}  // namespace attnlab
