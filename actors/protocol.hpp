// SPDX-License-Identifier: MIT
// What the actors say to each other. Bodies are Protobuf (net/wire/cluster.proto).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/type_id.hpp>

#include "actors/caf_compat.hpp"
#include "actors/payment_messages.hpp"
#include "actors/wire_body.hpp"
#include "net/wire/cluster.pb.h"
#include "runtime/base/bytes.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {
class model;
struct catalogue_view;
}  // namespace lp::pipelines

namespace lp::actors {

/// Raised when a message's meaning changes; peers of another version are refused in hello.
constexpr std::uint32_t protocol_version = 1;

using hello = body<wire::Hello>;
using announcement = body<wire::Announcement>;
using worker_state = body<wire::WorkerState>;
using job_request = body<wire::JobRequest>;
using job_result = body<wire::JobResult>;
using job_failure = body<wire::JobFailure>;
using chunk_request = body<wire::ChunkRequest>;
using chunk = body<wire::Chunk>;
using terms_request = body<wire::TermsRequest>;
using terms = body<wire::Terms>;

/// A file of a job: a span of the request's body, which is copied only to travel.
struct input_file {
  std::string field;  ///< the parameter it belongs to
  std::string mime;   ///< as the client said
  shared_bytes body;
  std::size_t offset = 0;
  std::size_t size = 0;

  std::string_view bytes() const { return std::string_view(*body).substr(offset, size); }
};

/// A job as the HTTP side hands it to the gateway of its own node. `done` is called exactly once,
/// from an actor's thread, and must not block.
struct submission {
  wire::JobRequest request;
  std::vector<input_file> files;
  time_point deadline;
  std::function<void(result<wire::JobResult>)> done;
  std::vector<payments::money> max_prices{};  ///< the most that the job may cost; each counts
};
using submission_ptr = std::shared_ptr<submission>;

/// A look at what the gateway knows; `done` as in submission.
struct gateway_view {
  std::vector<wire::Announcement> orchestrators;
  std::size_t jobs = 0;  ///< submitted and not yet answered
};
struct view_query {
  std::function<void(gateway_view)> done;
};
using view_query_ptr = std::shared_ptr<view_query>;

/// What the model cache hands out: the model stays loaded while somebody holds this.
using model_lease = std::shared_ptr<pipelines::model>;

/// The models that are warm now. Weak: knowing of a model does not keep it loaded.
struct warm_models {
  std::map<std::string, std::weak_ptr<pipelines::model>> by_id;
  std::uint64_t bytes = 0;
};
using warm_models_ptr = std::shared_ptr<const warm_models>;

/// The models of a worker, as its model_watcher finds them.
using catalogue_ptr = std::shared_ptr<const pipelines::catalogue_view>;

/// Told when a node has nothing left to do.
struct drained {
  std::function<void()> done;
};
using drained_ptr = std::shared_ptr<drained>;

}  // namespace lp::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::submission_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::view_query_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::model_lease)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::warm_models_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::catalogue_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::drained_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::payment_order_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::settlement_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::quote_query_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(lp::actors::verdict_ptr)

CAF_BEGIN_TYPE_ID_BLOCK(lp_actors, first_custom_type_id)

CAF_ADD_TYPE_ID(lp_actors, (lp::actors::hello))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::announcement))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::worker_state))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::job_request))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::job_result))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::job_failure))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::chunk_request))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::chunk))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::terms_request))
CAF_ADD_TYPE_ID(lp_actors, (lp::actors::terms))

CAF_ADD_ATOM(lp_actors, lp::actors, hello_atom, "hello")
CAF_ADD_ATOM(lp_actors, lp::actors, watch_atom, "watch")
CAF_ADD_ATOM(lp_actors, lp::actors, announce_atom, "announce")
CAF_ADD_ATOM(lp_actors, lp::actors, peer_up_atom, "peerUp")
CAF_ADD_ATOM(lp_actors, lp::actors, peer_down_atom, "peerDown")
CAF_ADD_ATOM(lp_actors, lp::actors, link_up_atom, "linkUp")
CAF_ADD_ATOM(lp_actors, lp::actors, link_down_atom, "linkDown")
CAF_ADD_ATOM(lp_actors, lp::actors, worker_atom, "worker")
CAF_ADD_ATOM(lp_actors, lp::actors, submit_atom, "submit")
CAF_ADD_ATOM(lp_actors, lp::actors, run_atom, "run")
CAF_ADD_ATOM(lp_actors, lp::actors, done_atom, "done")
CAF_ADD_ATOM(lp_actors, lp::actors, failed_atom, "failed")
CAF_ADD_ATOM(lp_actors, lp::actors, cancel_atom, "cancelJob")
CAF_ADD_ATOM(lp_actors, lp::actors, read_atom, "read")
CAF_ADD_ATOM(lp_actors, lp::actors, view_atom, "view")
CAF_ADD_ATOM(lp_actors, lp::actors, drain_atom, "drain")
CAF_ADD_ATOM(lp_actors, lp::actors, step_atom, "step")
CAF_ADD_ATOM(lp_actors, lp::actors, acquire_atom, "acquire")
CAF_ADD_ATOM(lp_actors, lp::actors, used_atom, "used")
CAF_ADD_ATOM(lp_actors, lp::actors, loaded_atom, "loaded")
CAF_ADD_ATOM(lp_actors, lp::actors, warm_atom, "warm")
CAF_ADD_ATOM(lp_actors, lp::actors, terms_atom, "terms")
CAF_ADD_ATOM(lp_actors, lp::actors, admit_atom, "admit")
CAF_ADD_ATOM(lp_actors, lp::actors, pay_atom, "pay")
CAF_ADD_ATOM(lp_actors, lp::actors, settle_atom, "settle")
CAF_ADD_ATOM(lp_actors, lp::actors, quote_atom, "quote")
CAF_ADD_ATOM(lp_actors, lp::actors, commit_atom, "commit")
CAF_ADD_ATOM(lp_actors, lp::actors, late_atom, "late")
CAF_ADD_ATOM(lp_actors, lp::actors, shrink_atom, "shrink")
CAF_ADD_ATOM(lp_actors, lp::actors, models_atom, "models")

CAF_END_TYPE_ID_BLOCK(lp_actors)

namespace lp::actors {

/// Published by an orchestrator node; gateways and workers speak to it.
using orchestrator_actor = typed_actor<
    // Who are you? The answer is this node's own hello; a stranger is refused with bad_request.
    hello(hello_atom, hello),
    // Sends every announcement from now on to the given directory_actor, the present one at once.
    void(watch_atom, caf::strong_actor_ptr),
    // A worker joins, or says what changed. The handle is its gpu_worker_actor.
    void(worker_atom, worker_state, caf::strong_actor_ptr),
    // Runs a job; its sender gets done_atom or failed_atom, where busy, gone, load_failed and
    // draining are refusals that another node may answer. These are messages and no request:
    // both sides keep the job's deadline anyway, and CAF's timer costs a request two changes of
    // thread.
    void(run_atom, job_request),
    // From a worker: how a job ended.
    void(done_atom, job_result), void(failed_atom, job_failure),
    // The sender no longer wants the job of that id.
    void(cancel_atom, std::string),
    // Part of a result that is too large for one message, or of a job's file, for its worker.
    chunk(read_atom, chunk_request),
    // What would the gateway have to pay? Refused where nothing is paid.
    terms(terms_atom, terms_request),
    // Takes no more jobs; tells when none is left. Local.
    void(drain_atom, drained_ptr),
    // To itself: an announcement is due; look for jobs whose time is over.
    void(announce_atom), void(caf::tick_atom)>;

/// One device and its warm models.
using gpu_worker_actor = typed_actor<
    // Runs a job; its sender gets done_atom or failed_atom.
    void(run_atom, job_request), void(cancel_atom, std::string), chunk(read_atom, chunk_request),
    // One bounded piece of work of one of the running jobs; sent by the worker to itself.
    void(step_atom),
    // From its peer_link: the orchestrator of that name is there, or no longer.
    void(link_up_atom, std::string, caf::strong_actor_ptr), void(link_down_atom, std::string),
    // From its model_cache, whenever the set changes.
    void(warm_atom, warm_models_ptr),
    // From its model_watcher: other models are there than before.
    void(models_atom, catalogue_ptr), void(drain_atom, drained_ptr)>;

/// Loads models and keeps them; one a worker.
using model_cache_actor = typed_actor<
    // The model of that id, loaded if need be. All local.
    model_lease(acquire_atom, std::string),
    // The owner used a warm model without asking.
    void(used_atom, std::string),
    // A job needs memory: drops models that nobody uses until at most so many bytes are held.
    void(shrink_atom, std::uint64_t),
    // To itself: that load should have ended by now.
    void(late_atom, std::string, std::uint64_t),
    // A load ended well (model, milliseconds) or not (empty, the reason as wire::Error bytes).
    void(loaded_atom, std::string, model_lease, std::string)>;

/// Knows the orchestrators that a gateway was told of.
using directory_actor = typed_actor<void(announce_atom, announcement),
                                    void(link_up_atom, std::string, caf::strong_actor_ptr),
                                    void(link_down_atom, std::string)>;

/// Checks payments, off the orchestrator's thread; a pool of them shares one till. All local.
using ticket_validator_actor =
    typed_actor<terms(terms_atom, terms_request),
                // Takes the job's payment and sets its price aside. Answered once that is on disk,
                // with the job's name for settle_atom; empty where nothing is to be paid.
                std::string(admit_atom, job_request),
                // How an admitted job ended: its name, billing units done.
                void(settle_atom, std::string, double),
                // From the ledger's thread: what became of an admission.
                void(commit_atom, std::uint64_t, verdict_ptr)>;

/// Pays for a gateway's jobs; one a gateway. All local but the terms it asks for.
using payer_actor = typed_actor<
    // The job with its payment; payment_required, over_budget where there is none to be made.
    job_request(pay_atom, payment_order_ptr), void(settle_atom, settlement_ptr),
    void(quote_atom, quote_query_ptr), void(peer_down_atom, std::string),
    // From the ledger's thread: what became of a job's funding.
    void(commit_atom, std::uint64_t, verdict_ptr),
    // To itself: look for jobs that nobody answered.
    void(caf::tick_atom)>;

/// Takes jobs from the HTTP side of its node and sends each to an orchestrator.
using gateway_actor =
    typed_actor<void(submit_atom, submission_ptr), void(cancel_atom, std::string),
                // From an orchestrator: how a job ended there.
                void(done_atom, job_result), void(failed_atom, job_failure),
                // From an orchestrator: part of a file of a job that it has now.
                chunk(read_atom, chunk_request),
                // To itself: look for jobs whose time is over.
                void(caf::tick_atom),
                // From the directory: an orchestrator's present state, with its handle; or that it
                // went away.
                void(peer_up_atom, announcement, caf::strong_actor_ptr),
                void(peer_down_atom, std::string), void(view_atom, view_query_ptr),
                // What the job would cost, at every orchestrator that offers it.
                void(quote_atom, quote_query_ptr), void(drain_atom, drained_ptr)>;

}  // namespace lp::actors
