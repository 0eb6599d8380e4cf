// Which call into a plugin is running, so that every failure inside it is reported with the plugin's name: an exception
// of any type, a broken rule, a signal that ends the process. Every call from the host goes through `call_plugin` or
// holds a `PluginCall` (registry/guarded_*.cpp); a call costs a few stores and allocates nothing.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <attnlab/api.h>
#include <attnlab/error.h>

namespace attnlab {

/// A component as messages name it. Lives until the process ends: a signal may ask for it at any time.
class ATTNLAB_API Callee {
 public:
  /// name: `cache "it"`; file: where it comes from.
  Callee(std::string name, const std::string& file) : name_(std::move(name)), text_(name_ + " (" + file + ")") {}

  /// cache "it"
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// cache "it" (path/of/it.cpp)
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  /// Records a fault that was found in a function that must not throw; the next call that may throw reports it.
  void note_fault(const char* function, const std::string& fault) noexcept;
  void throw_noted_fault() {
    if (has_fault_.load(std::memory_order_relaxed)) throw_fault();
  }
  void forget_fault() noexcept;

 private:
  [[noreturn]] void throw_fault();

  std::string name_;
  std::string text_;
  std::atomic<bool> has_fault_ = false;
  std::mutex mutex_;  // tiles are read by several threads
  std::string fault_;
};

/// A fault of a plugin. It already has the plugin's name, so callers do not add a name again.
class ATTNLAB_API PluginError : public Error {
 public:
  using Error::Error;
  ~PluginError() override;
};

/// An Error that a plugin throws itself about its options or its arguments; not a fault of the plugin.
class ATTNLAB_API PluginRefusal final : public PluginError {
 public:
  using PluginError::PluginError;
  ~PluginRefusal() override;
};

/// Marks a call as running on this thread while the object lives; calls may be nested.
class ATTNLAB_API PluginCall {
 public:
  /// function: a text that is never freed.
  PluginCall(Callee& callee, const char* function) noexcept
      : callee_(&callee), function_(function), outer_(innermost_) {
    innermost_ = this;
  }
  ~PluginCall() { innermost_ = outer_; }
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

  /// The innermost of this thread, else of the program's first thread, for which this one may work; null: none.
  [[nodiscard]] static const PluginCall* running() noexcept;
  /// The calling thread is the one that others work for.
  static void mark_first_thread() noexcept;

  [[nodiscard]] Callee& callee() const noexcept { return *callee_; }
  [[nodiscard]] const char* function() const noexcept { return function_; }

 private:
  // The model is the cheap one: this library is loaded with the program, never later.
  static thread_local constinit PluginCall* innermost_ __attribute__((tls_model("initial-exec")));

  Callee* callee_;
  const char* function_;
  PluginCall* outer_;
};

/// The current exception as a PluginError of the call that was running; errors that are named already, and memory that
/// ran out, as they are.
[[noreturn]] ATTNLAB_API void rethrow_named(Callee& callee, const char* function);

/// `body` is the call of the plugin's function. Throws what it throws as a PluginError.
template <class Body>
auto call_plugin(Callee& callee, const char* function, const Body& body) {
  const PluginCall call(callee, function);
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      callee.throw_noted_fault();
    } else {
      auto result = body();
      callee.throw_noted_fault();
      return result;
    }
  } catch (...) {
    rethrow_named(callee, function);
  }
}

/// For code of the host between a plugin's object and its parts: `function` of the plugin that is being called, if one
/// is.
template <class Body>
void call_part(const char* function, const Body& body) {
  if (const PluginCall* call = PluginCall::running())
    call_plugin(call->callee(), function, body);
  else
    body();
}

/// Reports an argument or a result of a plugin that breaks a rule: what was wrong, and what would be right.
/// Throws a PluginError of the running call; an Error without a name where no plugin is being called.
[[noreturn]] ATTNLAB_API void broken_rule(const std::string& what, const std::string& remedy = {});
/// The same of a call that returned.
[[noreturn]] ATTNLAB_API void broken_rule_of(const Callee& callee, const char* function, const std::string& what,
                                             const std::string& remedy = {});
/// The same in a function that must not throw: recorded, and reported by the next call of the plugin that may throw.
/// Aborts where no plugin is being called.
ATTNLAB_API void note_broken_rule(const std::string& what) noexcept;

/// The current exception in words: what() with everything nested in it, or the value, or the type of an object.
[[nodiscard]] ATTNLAB_API std::string current_exception_text();

/// While it lives, plugins are also checked where checks are expensive: outputs must be written completely, and tiles
/// must hold the rows that they declare.
class ATTNLAB_API CarefulCalls {
 public:
  CarefulCalls() noexcept { depth_.fetch_add(1, std::memory_order_relaxed); }
  ~CarefulCalls() { depth_.fetch_sub(1, std::memory_order_relaxed); }
  CarefulCalls(const CarefulCalls&) = delete;
  CarefulCalls& operator=(const CarefulCalls&) = delete;
  [[nodiscard]] static bool are_on() noexcept { return depth_.load(std::memory_order_relaxed) > 0; }

 private:
  static std::atomic<int> depth_;
};

}  // namespace attnlab
