// The registry: every component of every plugin that was loaded, and every plugin that was refused, with the reason.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace attnlab {

enum class Kind : std::uint8_t { attention, position, cache, storage };
inline constexpr Kind kKinds[] = {Kind::attention, Kind::position, Kind::cache, Kind::storage};

/// "attention", "position", "cache", "storage".
[[nodiscard]] ATTNLAB_API std::string_view kind_name(Kind kind);

/// One component as it was found; plain data, safe to keep.
struct Descriptor {
  Kind kind = Kind::attention;
  std::string id;
  std::string summary;
  std::string reference;
  OptionSchema options;  // without the options that the host gives to every cache (storage, keys)
  std::string plugin;    // name of the plugin that holds it
  std::string version;
  std::filesystem::path file;
  std::filesystem::path source;  // that the file was compiled from; empty: it was found as it is
};

/// A shared object that was not taken in.
struct Refusal {
  std::filesystem::path file;
  std::string name;        // what the plugin calls itself, as far as it is known; else the file's stem
  std::string reason;      // one line
  std::string details;     // several lines for people: both sides of a mismatch and the remedy; may be empty
  bool requested = false;  // named by the experiment or the command line, not only found in a folder
};

/// `cache "it"`.
[[nodiscard]] ATTNLAB_API std::string component_name(Kind kind, std::string_view id);

/// A component cannot be made with these options in this model: the experiment is wrong, not the plugin.
class ATTNLAB_API OptionError : public Error {
 public:
  using Error::Error;
  ~OptionError() override;
};

class ATTNLAB_API Registry {
 public:
  /// Loads every *.so of the folders and every file named, in the order of their paths. A folder that is missing is
  /// an error only where it was requested. Plugins stay open until the process ends.
  static Registry load(std::span<const std::filesystem::path> folders,
                       std::span<const std::filesystem::path> requested);
  /// The folders of the build, of ATTNLAB_PLUGIN_PATH (separated by ':'), and what the experiment names.
  static Registry standard(std::span<const std::filesystem::path> requested = {});

  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  [[nodiscard]] const std::vector<Descriptor>& components() const noexcept;
  [[nodiscard]] const std::vector<Refusal>& refusals() const noexcept;

  [[nodiscard]] const Descriptor* find(Kind kind, std::string_view id) const noexcept;
  /// As find; an unknown id is an Error at `where` with the nearest name, or the reason why its plugin was refused.
  [[nodiscard]] const Descriptor& get(Kind kind, std::string_view id, const std::string& where) const;
  [[nodiscard]] std::vector<std::string> ids(Kind kind) const;

  /// Rules across options of the component; problems name options. Values must fit the schema.
  void check(const Descriptor& component, const OptionValues& values, Problems& problems) const;
  [[nodiscard]] Traits traits(const Descriptor& component, const OptionValues& values) const;

  /// OptionError where the component refuses its options. A factory that throws anything else, or returns null, is an
  /// Error that names the component and its file; so is whatever goes wrong in what was made (guarded.h).
  [[nodiscard]] std::unique_ptr<AttentionVariant> attention(std::string_view id, const OptionValues& values,
                                                            const CreateContext& context) const;
  [[nodiscard]] std::unique_ptr<PositionScheme> position(std::string_view id, const OptionValues& values,
                                                         const CreateContext& context) const;
  [[nodiscard]] std::unique_ptr<CachePolicy> cache(std::string_view id, const OptionValues& values,
                                                   const CreateContext& context) const;
  [[nodiscard]] std::unique_ptr<Storage> storage(std::string_view id, const OptionValues& values,
                                                 const CreateContext& context) const;

 private:
  struct Content;
  explicit Registry(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

}  // namespace attnlab
