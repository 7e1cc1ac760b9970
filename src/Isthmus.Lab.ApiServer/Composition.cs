using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Admission.Limits;
using Isthmus.Lab.ApiServer.Admission.Policies;
using Isthmus.Lab.ApiServer.Admission.PodSecurity;
using Isthmus.Lab.ApiServer.Admission.Quotas;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Streaming;

namespace Isthmus.Lab.ApiServer;

/// <summary>The composition root of one API server: which strategies, authenticators, plug-ins and virtual resources it has.</summary>
public static class Composition
{
    /// <summary>The strategy of a built-in kind, or null for a plain one.</summary>
    public static KindStrategy? Strategy(ApiServerContext context, string group, string kind) =>
        new BuiltInStrategies(context).For(group, kind);

    /// <exception cref="Core.Problems.ProblemException">The cluster's keys are missing or damaged.</exception>
    public static ApiServerParts Parts(ApiServerContext context)
    {
        var (store, time) = (context.Store, context.Time);
        DefinitionKinds.RegisterStored(context);
        var auth = new AuthParts(context, ClusterPki.Load(context.Settings.Directory));
        IAdmissionPlugin[] ofPods = [new LimitRangeAdmission(store), new ServiceAccountAdmission(store, context.Random), new PodPlacementAdmission(store)];
        var quotas = new QuotaAdmission(store, time);
        var endpoints = new ServiceEndpoints(store, context.Random);
        var webhooks = new WebhookAdmission(store, context.Kinds,
            new WebhookCaller(endpoints, context.Settings.MachineSocket is { Length: > 0 } socket ? new(socket) : null), ofPods);
        return new(
            auth.Authenticator,
            auth.Authorizer,
            [new NamespaceLifecycle(), .. ofPods, auth.Escalation, auth.Attest, new PolicyAdmission(store, context.Kinds), webhooks,
                new PodSecurityAdmission(store), quotas],
            [.. auth.Reviews, new PodBindingResource(store, time), new PodEvictionResource(store, time)],
            StreamingResources.All(context, endpoints),
            [auth.Aggregation, new DefinitionController(store, context.Kinds, time), quotas])
        {
            Documents = auth.Documents(),
        };
    }
}
