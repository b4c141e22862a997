#include "runtime/collective.h"

#include <fmt/format.h>

#include <exception>
#include <stdexcept>

#include "runtime/signals.h"

namespace sartor {
namespace {

constexpr char done = '+', refused = '2', failed = '1';  // first character of the message from rank 0

}  // namespace

std::string on_first(Collective& ranks, const std::function<std::string()>& work) {
  if (ranks.size() == 1) return work();
  std::exception_ptr fault;
  std::string told;
  if (ranks.first()) {
    try {
      told = done + work();
    } catch (const std::invalid_argument& error) {
      fault = std::current_exception();
      told = refused + std::string(error.what());
    } catch (const std::exception& error) {
      fault = std::current_exception();
      told = failed + std::string(error.what());
    }
  }
  told = ranks.from_first(told);
  if (fault) std::rethrow_exception(fault);
  const auto text = told.substr(1);
  if (told[0] == refused) throw std::invalid_argument("rank 0: " + text);
  if (told[0] == failed) throw std::runtime_error("rank 0: " + text);
  return text;
}

std::string traffic_of_all(Collective& ranks) {
  std::vector<double> sent(ranks.size());
  sent[ranks.rank()] = ranks.traffic().sent;
  sent = ranks.sum(std::move(sent));
  std::string text;
  for (int rank = 0; rank < ranks.size(); rank++) {
    text += fmt::format("{}rank {} {:.0f}", rank == 0 ? "" : ", ", rank, sent[rank]);
  }
  return fmt::format("{} bytes; the least possible is {:.0f} per rank on average", text, ranks.traffic().least);
}

int stop_signal_of_any(Collective& ranks) {
  const auto flags = stop_flags(stop_signal());
  return signal_of(ranks.sum({flags.begin(), flags.end()}));
}

}  // namespace sartor
