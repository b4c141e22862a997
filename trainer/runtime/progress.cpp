#include "runtime/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace sartor {
namespace {

constexpr double seconds_between_lines = 5, seconds_between_redraws = 0.1;

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  const auto minutes = whole / 60;
  if (minutes < 60) return fmt::format("{}:{:02}", minutes, whole % 60);
  return fmt::format("{}:{:02}:{:02}", minutes / 60, minutes % 60, whole % 60);
}

}  // namespace

Display Display::standard_error() {
  winsize size = {};
  const bool terminal = isatty(STDERR_FILENO) && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
  return {.write = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
          .seconds =
              [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); },
          .columns = terminal ? std::max<int>(size.ws_col, 20) : 0};
}

Progress::Progress(std::string unit, int64_t total, int64_t done, Display display)
    : unit_(std::move(unit)),
      total_(total),
      before_(done),
      display_(std::move(display)),
      start_(display_.seconds()),
      shown_(start_) {}

Progress::~Progress() {
  if (any_ && display_.columns > 0) display_.write("\n");
}

std::string Progress::line(int64_t done, double now, std::string_view note) const {
  std::string text = total_ > 0 ? fmt::format("{} {}/{}", unit_, done, total_) : fmt::format("{} {}", unit_, done);
  if (total_ > 0 && display_.columns > 0) {
    constexpr int width = 20;
    const auto filled = std::min<int64_t>(done * width / total_, width);
    text += fmt::format(" [{:<{}}]", std::string(filled, '=') + (filled < width ? ">" : ""), width);
  }
  const double elapsed = now - start_, steps = static_cast<double>(done - before_);
  if (steps > 0 && elapsed > 0) {
    const double rate = steps / elapsed;
    text += rate < 10 ? fmt::format("  {:.3g} s/{}", 1 / rate, unit_) : fmt::format("  {:.0f} {}s/s", rate, unit_);
    if (total_ > done) text += fmt::format("  {} left", duration(static_cast<double>(total_ - done) / rate));
  }
  if (!note.empty()) text += fmt::format("  {}", note);
  return text;
}

void Progress::update(int64_t done, std::string_view note) {
  const double now = display_.seconds();
  const bool terminal = display_.columns > 0;
  const bool first = !any_ && (terminal || total_ > 0), last = total_ > 0 && done == total_;
  if (!first && !last && now - shown_ < (terminal ? seconds_between_redraws : seconds_between_lines)) return;
  shown_ = now;
  any_ = true;
  const auto text = line(done, now, note);
  display_.write(terminal ? fmt::format("\r\033[K{}", text.substr(0, display_.columns - 1)) : text + "\n");
}

}  // namespace sartor
