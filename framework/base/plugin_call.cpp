#include "base/plugin_call.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <typeinfo>

namespace attnlab {

thread_local constinit PluginCall* PluginCall::innermost_ = nullptr;
std::atomic<int> CarefulCalls::depth_ = 0;

PluginError::~PluginError() = default;
PluginRefusal::~PluginRefusal() = default;

namespace {
PluginCall* const* calls_of_first_thread = nullptr;
}  // namespace

void PluginCall::mark_first_thread() noexcept {
  calls_of_first_thread = &innermost_;
}

const PluginCall* PluginCall::running() noexcept {
  if (innermost_ != nullptr || calls_of_first_thread == nullptr) return innermost_;
  return *calls_of_first_thread;
}

void Callee::note_fault(const char* function, const std::string& fault) noexcept {
  const std::scoped_lock lock(mutex_);
  if (has_fault_.load(std::memory_order_relaxed)) return;  // the first is the cause
  fault_ = text_ + " broke a rule in " + function + ": " + fault;
  has_fault_.store(true, std::memory_order_relaxed);
}

void Callee::forget_fault() noexcept {
  if (!has_fault_.load(std::memory_order_relaxed)) return;
  const std::scoped_lock lock(mutex_);
  has_fault_.store(false, std::memory_order_relaxed);
}

void Callee::throw_fault() {
  std::string fault;
  {
    const std::scoped_lock lock(mutex_);
    fault = fault_;
  }
  forget_fault();
  throw PluginError("", std::move(fault));
}

void rethrow_named(Callee& callee, const char* function) {
  callee.forget_fault();
  try {
    throw;
  } catch (const PluginError&) {
    throw;
  } catch (const Error& error) {
    // What a component says of its options or of its state: its own words, with its name.
    std::vector<Problem> problems = error.problems();
    for (Problem& problem : problems) problem.what = callee.name() + ": " + problem.what;
    throw PluginRefusal(std::move(problems));
  } catch (const std::bad_alloc&) {
    throw;  // memory has run out, which is not the fault of the call that asked last
  } catch (...) {
    throw PluginError("", callee.text() + " threw in " + function + ": " + current_exception_text());
  }
}

void broken_rule_of(const Callee& callee, const char* function, const std::string& what, const std::string& remedy) {
  throw PluginError("", callee.text() + " broke a rule in " + function + ": " + what, remedy);
}

void broken_rule(const std::string& what, const std::string& remedy) {
  if (const PluginCall* call = PluginCall::running()) broken_rule_of(call->callee(), call->function(), what, remedy);
  throw Error("", what, remedy);
}

void note_broken_rule(const std::string& what) noexcept {
  const PluginCall* call = PluginCall::running();
  ATTNLAB_CHECK(call != nullptr, what.c_str());
  call->callee().note_fault(call->function(), what);
}

namespace {

std::string type_of_exception() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "something of an unknown type";
  int status = 0;
  char* readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = readable == nullptr ? type->name() : readable;
  std::free(readable);
  return name;
}

std::string text_with_nested(const std::exception& error) {
  std::string text = error.what();
  try {
    std::rethrow_if_nested(error);
  } catch (...) {
    text += ": " + current_exception_text();
  }
  return text;
}

}  // namespace

std::string current_exception_text() {
  const auto value = [](const auto& number) { return std::to_string(number) + " (" + type_of_exception() + ")"; };
  try {
    throw;
  } catch (const std::exception& error) {
    return text_with_nested(error);
  } catch (const char* text) {
    return text == nullptr ? "a null text" : text;
  } catch (const std::string& text) {
    return text;
  } catch (int number) {
    return value(number);
  } catch (long number) {
    return value(number);
  } catch (unsigned number) {
    return value(number);
  } catch (unsigned long number) {
    return value(number);
  } catch (double number) {
    return value(number);
  } catch (...) {
    return "an object of the type " + type_of_exception();
  }
}

}  // namespace attnlab
