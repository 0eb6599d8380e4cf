#include "bench/reporters.h"

#include <ostream>

namespace attnlab::bench {
namespace {

// A reporter of Google Benchmark that keeps to its output: its remarks on the machine and on its own build, which it
// would write to stderr, go nowhere.
template <class Form>
class OutputOnly final : public Form {
 public:
  using Form::Form;

  bool ReportContext(const benchmark::BenchmarkReporter::Context& context) override {
    std::ostringstream unread;
    std::ostream& usual = this->GetErrorStream();
    this->SetErrorStream(&unread);
    const bool goes_on = Form::ReportContext(context);
    this->SetErrorStream(&usual);
    return goes_on;
  }
};

}  // namespace

DisplayReporter::DisplayReporter(std::string heading, const std::string& format)
    : heading_(std::move(heading)),
      is_for_people_(format.empty() || format == "console"),
      form_(*benchmark::CreateDefaultDisplayReporter()) {}

bool DisplayReporter::ReportContext(const Context& context) {
  std::ostringstream unread;
  form_.SetOutputStream(&GetOutputStream());
  form_.SetErrorStream(&unread);
  const bool goes_on = form_.ReportContext(context);
  form_.SetErrorStream(&GetErrorStream());
  if (is_for_people_) GetOutputStream() << heading_ << std::endl;
  if (context.cpu_info.scaling == benchmark::CPUInfo::ENABLED)
    GetErrorStream() << "attnlab: warning: the clock of the processor is scaled with its load: times vary" << std::endl;
  return goes_on;
}

void DisplayReporter::ReportRuns(const std::vector<Run>& runs) {
  form_.ReportRuns(runs);
}

void DisplayReporter::Finalize() {
  form_.Finalize();
}

std::unique_ptr<benchmark::BenchmarkReporter> file_reporter(const std::string& format) {
  if (format == "console")
    return std::make_unique<OutputOnly<benchmark::ConsoleReporter>>(benchmark::ConsoleReporter::OO_None);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // its format stays: the flag takes it
  if (format == "csv") return std::make_unique<OutputOnly<benchmark::CSVReporter>>();
#pragma GCC diagnostic pop
  return std::make_unique<OutputOnly<benchmark::JSONReporter>>();
}

}  // namespace attnlab::bench
