#include "schema/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

namespace sartor {

namespace {

spdlog::logger& logger() {
  static const auto logger = [] {
    auto made = std::make_unique<spdlog::logger>("sartor", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern(isatty(STDERR_FILENO) ? "\r\033[K%H:%M:%S %l: %v"
                                            : "%H:%M:%S %l: %v");  // \r\033[K erases a progress line
    return made;
  }();
  return *logger;
}

}  // namespace

void detail::log(Level level, const std::string& text) {
  logger().log(level == Level::info ? spdlog::level::info : spdlog::level::warn, spdlog::string_view_t(text));
}

void silence_log() { logger().set_level(spdlog::level::off); }

}  // namespace sartor
