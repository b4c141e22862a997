// Runs a program on several ranks of this machine, as torchrun does.
#pragma once

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>
#include <vector>

#include "support/faults/faults.h"
#include "support/paths.h"

namespace sartor::testing {

inline int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  bind(socket, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket);
  return ntohs(address.sin_port);
}

// Starts one process per rank at the same time: run(rank, its environment), which contains `more`.
template <class Run>
std::vector<Outcome> on_each_rank(int ranks, const Run& run, const std::vector<std::string>& more = {}) {
  const auto port = fmt::format("MASTER_PORT={}", free_port());
  std::vector<std::future<Outcome>> running;
  for (int rank = 0; rank < ranks; rank++) {
    auto environment = more;
    for (const auto* name : {"RANK", "LOCAL_RANK"}) environment.push_back(fmt::format("{}={}", name, rank));
    for (const auto* name : {"WORLD_SIZE", "LOCAL_WORLD_SIZE"})
      environment.push_back(fmt::format("{}={}", name, ranks));
    environment.insert(environment.end(), {"MASTER_ADDR=127.0.0.1", port});
    running.push_back(std::async(std::launch::async, [=, &run] { return run(rank, environment); }));
  }
  std::vector<Outcome> outcomes;
  for (auto& each : running) outcomes.push_back(each.get());
  return outcomes;
}

inline std::vector<Outcome> on_ranks(int ranks, const std::vector<std::string>& command,
                                     const std::vector<std::string>& more = {}) {
  return on_each_rank(
      ranks, [&](int, const std::vector<std::string>& environment) { return run_command(command, environment); }, more);
}

// Runs a program on several ranks under torchrun itself.
inline Outcome under_torchrun(int ranks, const std::vector<std::string>& command,
                              const std::vector<std::string>& options = {}) {
  std::vector<std::string> words = {venv_program("torchrun"), "--no-python",
                                    fmt::format("--master-port={}", free_port()),
                                    fmt::format("--nproc-per-node={}", ranks)};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), command.begin(), command.end());
  return run_command(words, {"OMP_NUM_THREADS=1"});
}

}  // namespace sartor::testing
