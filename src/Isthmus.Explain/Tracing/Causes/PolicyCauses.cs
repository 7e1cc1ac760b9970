using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Which AuthorizationPolicy denies a call, and what the call lacks.</summary>
internal sealed partial class PolicyCauses(TraceFacts facts)
{
    private readonly ChangedRequests _changed = new(facts);

    /// <summary>The policy and the rule that a filter's rule was made from; empty when the name is not one of the control plane's.</summary>
    public static string Describe(string rule) =>
        PolicyRule().Match(rule) is { Success: true } made
            ? $"AuthorizationPolicy {made.Groups[1].Value}/{made.Groups[2].Value}, rule {made.Groups[3].Value}"
            : "";

    /// <summary>A policy of a gateway that passes connections on, which knows neither callers nor requests; null when there is none.</summary>
    /// <param name="said">What is seen of the connection.</param>
    public Problem? AtPassing(ServiceInCluster service, string said)
    {
        var config = facts.ConfigOf(service.Cluster);
        var policy = service.Pods.Take(1).SelectMany(pod => config.Istio<AuthorizationPolicy>()
            .Where(one => one is { DryRun: false, Action: not PolicyAction.Audit }
                && one.AppliesTo(pod.Metadata.Namespace, facts.RootNamespace, pod.Metadata.Labels.ToValueMap()))).FirstOrDefault();
        return policy is null ? null : Faults.Of("ISM2064", $"AuthorizationPolicy {policy.Namespace}/{policy.Name} in {config.Context}", "spec.selector",
            $"applies to {service.Name}, which passes connections of other networks on and knows neither their callers nor their requests: it may deny this "
                + $"one ({said})",
            "select the workloads that are called: their sidecars know who calls");
    }

    /// <param name="rule">The rule that denies, named after the policy that it was made from; empty when no rule allows.</param>
    public Problem Denied(Callee callee, string rule, CallAttributes call)
    {
        var config = facts.ConfigOf(callee.Cluster);
        var policies = Applying(config, callee).ToList();
        if (PolicyRule().Match(rule) is { Success: true } made)
        {
            var policy = policies.FirstOrDefault(candidate => candidate.Namespace == made.Groups[1].Value && candidate.Name == made.Groups[2].Value);
            if (policy is { Action: PolicyAction.Custom } && Unasked(policy, callee, call) is { } unasked) return unasked;
            var index = int.Parse(made.Groups[3].Value, System.Globalization.CultureInfo.InvariantCulture);
            return ByRule($"AuthorizationPolicy {made.Groups[1].Value}/{made.Groups[2].Value} in {config.Context}", index,
                policy is not null && index < policy.Rules.Count ? policy.Rules[index] : null, callee, call);
        }
        return ByNoRule([.. policies.Where(policy => policy.Action == PolicyAction.Allow)], config, callee, call);
    }

    /// <summary>Why the callee's proxy asks no external authorizer, and so denies what a policy leaves to one; null when nothing says so.</summary>
    private Problem? Unasked(AuthorizationPolicy policy, Callee callee, CallAttributes call)
    {
        if (!facts.KnowsSettingsOf(callee.Cluster)) return null;
        var config = facts.ConfigOf(callee.Cluster);
        var (owner, where) = (Name(policy, config), $"{TraceFacts.MeshField("extensionProviders")} of {facts.MeshConfigOf(callee.Cluster)}");
        if (facts.SettingsOf(callee.Cluster).Mesh.Authorizers.GetValueOrDefault(policy.Provider) is not { } provider)
        {
            return Faults.Of("ISM2064", owner, "spec.provider.name",
                $"names {policy.Provider}, which is no external authorizer of the MeshConfig: {callee.Name} {Denial(call)}",
                    $"add it to {where}, or correct the name");
        }
        var name = provider.Service[(provider.Service.IndexOf('/', StringComparison.Ordinal) + 1)..];
        if (facts.Host(name, callee.Pod.Metadata.Namespace) is not { } host)
        {
            return Faults.Of("ISM2064", owner, "spec.provider.name",
                $"leaves the decision to {policy.Provider}, whose service {provider.Service} does not exist: nobody can be asked, and {callee.Name} "
                    + Denial(call),
                $"create the Service, or correct service in {where}");
        }
        return host.Services.Count == 0 || host.Services.Any(service => service.Port(provider.Port) is not null) ? null
            : Faults.Of("ISM2064", owner, "spec.provider.name",
                $"leaves the decision to {policy.Provider} at port {provider.Port} of {host.Services[0].Name}, which has "
                    + $"{ServicePods.Ports(host.Services[0].Service)}: nobody can be asked, and {callee.Name} {Denial(call)}",
                $"set its port in {where} to one that the Service has");
    }

    /// <summary>Why a request has no valid token for a callee, and what helps.</summary>
    private (string Why, string Remedy) Tokenless(Callee callee, RuleTerm term, CallAttributes call)
    {
        var config = facts.ConfigOf(callee.Cluster);
        var reading = Reading(callee);
        if (reading.Count == 0)
        {
            return ($"carries no valid token: no RequestAuthentication applies to {callee.Name}, so its proxy checks none",
                $"create a RequestAuthentication with the issuer in namespace {callee.Name.Namespace} in {config.Context}, or allow the call without a token");
        }
        if (call.ClaimNames.Count > 0 && !call.ClaimNames.Contains("sub"))
            return ("carries a valid token without the claim sub, of which, with the issuer, principals are made (ISSUER/SUBJECT)",
                "let the issuer put sub into its tokens, or ask for another claim (when: request.auth.claims[…])");
        if (call.AnyToken is { } token && TokenPlaces.Stray(reading, token) is { } stray) return stray;
        if (call is { HasBearer: false, AnyToken: null, Changes: not { Admitted.Asked.HasBearer: true } })
            return ("carries no valid token", $"send a token (isthmus trace --jwt TOKEN){new IssuerKeys(reading).Helping(term, call)}, or allow the call "
                + "without one");
        var issuers = string.Join(", ", TokenRules(callee).Select(rule => rule.Issuer).Distinct());
        return ($"carries no token that {callee.Name} accepts: its RequestAuthentications are for {issuers}",
            $"send a token of {issuers}, or allow the call without one");
    }

    /// <summary>The RequestAuthentications by which the callee's proxy reads tokens.</summary>
    private List<RequestAuthentication> Reading(Callee callee)
    {
        var labels = callee.Pod.Metadata.Labels.ToValueMap();
        return [.. facts.ConfigOf(callee.Cluster).Istio<RequestAuthentication>().Where(one =>
            one.AppliesTo(callee.Pod.Metadata.Namespace, facts.RootNamespace, labels) && !one.Rules.IsEmpty)];
    }

    /// <inheritdoc cref="IssuerKeys.Keyless"/>
    private Problem? Keyless(string policy, Callee callee, RuleTerm term, CallAttributes call) =>
        new IssuerKeys(Reading(callee)).Keyless(policy, term, call, facts.ConfigOf(callee.Cluster), $"{callee.Name} {Denial(call)}");

    private List<TokenRule> TokenRules(Callee callee) => [.. Reading(callee).SelectMany(one => one.Rules)];

    /// <summary>The callee's proxy refuses the token of the request.</summary>
    public Problem TokenRefused(Callee callee, TokenFilterView filter, TokenAnswer refused, AskedRequest request)
    {
        var config = facts.ConfigOf(callee.Cluster);
        var labels = callee.Pod.Metadata.Labels.ToValueMap();
        var policies = config.Istio<RequestAuthentication>().Where(policy =>
            policy.AppliesTo(callee.Pod.Metadata.Namespace, facts.RootNamespace, labels)).ToList();
        return TokenRefusals.Find(policies, request, refused.Status, refused.Failure, callee, config.Context, filter.OtherAlgorithms);
    }

    /// <summary>The control plane could not fetch the keys of an issuer: no token of it is valid for its proxies.</summary>
    public Problem? KeysLacking(Callee callee, TokenFilterView filter, TokenAnswer refused) => refused.Failure.StartsWith("Jwks", StringComparison.Ordinal)
        ? new IssuerKeys(Reading(callee)).Refused(IssuerKeys.Lacking([filter]), facts.ConfigOf(callee.Cluster), $"; the response is {refused.Status}")
        : null;

    /// <summary>The terms of policies by which nobody can decide before the call is made; null when there are none.</summary>
    /// <param name="rule">That of the policy which refuses the call; without one, all policies that allow calls count.</param>
    /// <param name="isUnknown">Whether an attribute of calls is not known.</param>
    public string? Undecided(Callee callee, string rule, Func<string, bool> isUnknown)
    {
        var (made, config) = (PolicyRule().Match(rule), facts.ConfigOf(callee.Cluster));
        return UndecidedTerms.Of(config.Context, Applying(config, callee).Where(policy => made.Success
            ? policy.Namespace == made.Groups[1].Value && policy.Name == made.Groups[2].Value
            : policy.Action == PolicyAction.Allow), isUnknown);
    }

    private IEnumerable<AuthorizationPolicy> Applying(ClusterObjects config, Callee callee)
    {
        var labels = callee.Pod.Metadata.Labels.ToValueMap();
        return config.Istio<AuthorizationPolicy>().Where(policy => !policy.DryRun
            && policy.AppliesTo(callee.Pod.Metadata.Namespace, facts.RootNamespace, labels))
            .OrderBy(policy => policy.Source);
    }

    private Problem ByRule(string policy, int index, AuthorizationRule? rule, Callee callee, CallAttributes call)
    {
        var field = $"spec.rules[{index}]";
        // A rule for everybody but those with a token denies whoever has none.
        if (rule is not null && !call.HasToken
            && rule.From.SelectMany(source => source).Concat(rule.When)
                .FirstOrDefault(term => term.Key.StartsWith("request.auth.", StringComparison.Ordinal) && !term.NotValues.IsEmpty) is { } wanted)
        {
            if (Keyless(policy, callee, wanted, call) is { } keyless) return keyless;
            if (_changed.TokenTaken(policy, TokenRules(callee), call, $"{callee.Name} {Denial(call)}") is { } taken) return taken;
            var (why, remedy) = Tokenless(callee, wanted, call);
            return Faults.Of("ISM2064", policy, field, $"denies requests without a valid token at {callee.Name}, and this one {why}: the response is 403",
                remedy);
        }
        // A rule that the request has come to match on its way.
        var turned = rule?.To.SelectMany(operation => operation).Concat(rule.When).FirstOrDefault(term => call.Satisfies(term) && !call.AskedSatisfies(term));
        if (turned is not null && _changed.HeaderTaken($"{policy}, {field},", turned, call, $"{callee.Name} {Denial(call)}") is { } lost) return lost;
        if (rule is not null && Excepting(rule, field, call) is { } lacking)
        {
            // Whom the rule excepts, it allows.
            var meant = CallerAccounts.Meant(facts, new(lacking.Term.Key, lacking.Term.NotValues, default), call);
            return Faults.Of("ISM2064", policy, lacking.Field,
                $"does not except {lacking.Value}{(meant is null ? "" : $" ({meant.Value.Says})")}, so that the rule denies {call.Caller} at {callee.Name}: "
                    + Outcome(call),
                meant is null ? $"add {lacking.Value} there" : $"{meant.Value.Remedy}; or add {lacking.Value} there{CallerAccounts.Widened(facts)}");
        }
        var told = turned is null ? "" : _changed.Told(turned, call);
        return Faults.Of("ISM2064", policy, field, $"denies {call.Caller} at {callee.Name}{told}: {Outcome(call)}",
            rule is { From.IsEmpty: true, When.IsEmpty: true }
                ? $"name in {field}.from whom it denies (notPrincipals for those who may call), or delete the rule: without from, it denies everybody"
                : rule is not null && rule.From.Any(source => source.All(term => term.Values.IsEmpty))
                ? "add the caller to those that the rule excepts (notPrincipals, notNamespaces or the like)"
                : rule is { From.IsEmpty: true }
                ? $"correct what the rule is for ({field}.to, {field}.when): it names no callers, so that it denies whoever makes such a call"
                : Pattern(rule, field, call) is { } pattern
                ? $"it is {pattern.Value} in {pattern.Field}, which covers the caller: narrow it, or name those who may call (not{pattern.Of})"
                : "remove the caller from the rule");
    }

    /// <summary>A pattern among the values by which a rule covers the caller; null when it names the caller as it is.</summary>
    private static (string Field, string Of, string Value)? Pattern(AuthorizationRule? rule, string path, CallAttributes call)
    {
        foreach (var (i, source) in (rule?.From ?? default).Index())
        {
            if (!source.All(term => call.Satisfies(term))) continue;
            if (source.SelectMany(term => term.Values.Select(value => (term, value))).FirstOrDefault(one => one.value.Contains('*', StringComparison.Ordinal))
                is ({ } term, { } value))
            {
                var name = FieldOf(term);
                return ($"{path}.from[{i}].source.{name}", $"{char.ToUpperInvariant(name[0])}{name[1..]}", value);
            }
        }
        return null;
    }

    /// <summary>The exception of a rule for everybody but some, and what the call has instead of it; null when the rule is another one.</summary>
    private static (string Field, RuleTerm Term, string Value)? Excepting(AuthorizationRule rule, string path, CallAttributes call)
    {
        var sources = rule.From.SelectMany((source, i) => source.Where(_ => source.All(term => term.Values.IsEmpty))
            .Select(term => (Field: $"{path}.from[{i}].source.{FieldOf(term)}", Term: term)));
        var operations = rule.From.IsEmpty ? rule.To.SelectMany((operation, i) => operation.Where(_ => operation.All(term => term.Values.IsEmpty))
            .Select(term => (Field: $"{path}.to[{i}].operation.{FieldOf(term)}", Term: term))) : [];
        var conditions = rule.From.IsEmpty && rule.To.IsEmpty ? rule.When.Select((term, i) => (Field: $"{path}.when[{i}].notValues", Term: term))
            .Where(one => one.Term.Values.IsEmpty) : [];
        return sources.Concat(operations).Concat(conditions).Select(found => (found.Field, found.Term, Value: call.Of(found.Term.Key).FirstOrDefault() ?? ""))
            .Where(found => found.Value.Length > 0).Select(found => ((string, RuleTerm, string)?)found).FirstOrDefault();
    }

    private Problem ByNoRule(IReadOnlyList<AuthorizationPolicy> allowing, ClusterObjects config, Callee callee, CallAttributes call)
    {
        if (allowing.Count == 0)
            return Faults.Of("ISM2064", callee.Name.ToString(), "", $"no AuthorizationPolicy that applies to it allows {call.Caller}: {Outcome(call)}",
                $"allow the caller in an AuthorizationPolicy of namespace {callee.Name.Namespace} in {config.Context}");
        var others = allowing.Count > 1
            ? $"; of {allowing.Count} policies that allow calls to it ({string.Join(", ", allowing.Select(policy => $"{policy.Namespace}/{policy.Name}"))}), "
                + $"it is the nearest"
            : "";
        var near = allowing.SelectMany(policy => policy.Rules.Select((rule, index) => (Policy: policy, Misses: Misses(rule, $"spec.rules[{index}]", call))))
            .Where(found => found.Misses.Count > 0).OrderBy(found => found.Misses.Count).FirstOrDefault();
        if (near.Policy is null)
        {
            if (allowing.FirstOrDefault(policy => !policy.Rules.IsEmpty) is { } met)
                return Faults.Of("ISM2064", Name(met, config), "spec.rules", $"allows this call as it is written now, and the proxy of {callee.Name} does not: "
                    + $"it may still have what was there before, and {Outcome(call)}", $"isthmus proxy-status --context={callee.Cluster.Context}");
            var empty = allowing[0];
            var reach = !empty.Selector.IsEmpty
                ? ""
                : empty.Namespace == facts.RootNamespace
                ? $", and {empty.Namespace} is the root namespace, so it applies to all workloads of the mesh"
                : $", and it applies to all workloads of namespace {empty.Namespace}";
            return Faults.Of("ISM2064", Name(empty, config), "spec.rules", $"has no rules, so it allows nobody{reach}: {callee.Name} {Denial(call)}{others}",
                $"add a rule for the caller to it, or to another AuthorizationPolicy of namespace {callee.Name.Namespace}");
        }
        var (field, term) = near.Misses[0];
        if (!call.IsRequest && near.Misses.FirstOrDefault(miss => RuleKeys.IsOfRequest(miss.Term.Key)) is { Term: not null } http)
        {
            if (ProtocolCauses.Disputed(callee) is var (bytes, requests))
                return Faults.Of("ISM2064", Name(near.Policy, config), http.Field,
                    $"is about HTTP requests, and proxies know none on port {callee.Address.Port} of these Pods, because {bytes} declares another protocol for "
                        + $"it than {requests}, and they can use one only: the rule matches no connection, and {callee.Name} {Denial(call)}{others}",
                    $"if the application speaks HTTP there, name the port of {bytes.Split(" (")[0]} http-…, or set appProtocol: http; if that Service means "
                        + "something else, lead it to another port");
            return Faults.Of("ISM2064", Name(near.Policy, config), http.Field,
                $"is about HTTP requests, and proxies know none on this port, because it declares TCP: the rule matches no connection, and "
                    + $"{callee.Name} {Denial(call)}{others}",
                "use fields of connections in the rule (ports, principals, namespaces, ipBlocks), or, if the application speaks HTTP, name the port "
                    + "of the Service http-… or set appProtocol: http");
        }
        var has = call.Of(term.Key);
        var isOfToken = term.Key.StartsWith("request.auth.", StringComparison.Ordinal);
        var owner = Name(near.Policy, config);
        if (isOfToken && !call.HasToken && Keyless(owner, callee, term, call) is { } keyless) return keyless;
        if ((isOfToken && !call.HasToken ? _changed.TokenTaken(owner, TokenRules(callee), call, $"{callee.Name} {Denial(call)}")
            : call.AskedSatisfies(term) ? _changed.HeaderTaken($"{owner}, {field},", term, call, $"{callee.Name} {Denial(call)}") : null) is { } taken)
            return taken;
        var (actual, remedy) = isOfToken && !call.HasToken ? Tokenless(callee, term, call)
            : isOfToken && has.Count == 0 ? Unclaimed(term, call)
            : term.Key is RuleKeys.SourceIp or RuleKeys.RemoteIp && call.Through.Length > 0
            ? ($"has {string.Join(", ", has)}, the address of the gateway of its network, {call.Through}",
                "calls from other networks have the addresses of gateways: name callers by principals, namespaces or serviceAccounts instead")
            : has.Count == 0 && !call.HasIdentity && (facts.Entry is null || facts.From is not null)
                && term.Key is RuleKeys.Principal or RuleKeys.Namespace or RuleKeys.ServiceAccount or RuleKeys.TrustDomain
            ? Anonymous(callee)
            : CallerAccounts.Meant(facts, term, call) is var (meant, account)
            ? ($"has {string.Join(", ", has)} ({meant})", $"{account}; or {Added(term, call)}{CallerAccounts.Widened(facts)}")
            : (has.Count > 0 ? $"has {string.Join(", ", has)}" : $"has none{(field.Contains(".when[", StringComparison.Ordinal) ? $" ({term.Key})" : "")}",
                Added(term, call));
        if (near.Policy.Selector.IsEmpty && near.Policy.Namespace == facts.RootNamespace && callee.Name.Namespace != facts.RootNamespace)
            (actual, remedy) = ($"{actual}, and the policy is in the root namespace without a selector, so that it is for all workloads of the mesh",
                $"if it is meant for some only, such as a gateway, give it a selector; otherwise {remedy}");
        else if (term.Key == RuleKeys.Path && term.Values.Any(value => value.Contains('?', StringComparison.Ordinal)))
            actual += ": paths are compared without the query";
        var more = near.Misses.Count > 1 ? $"; nor does it match {string.Join(" and ", near.Misses.Skip(1).Select(miss => Missed(miss, call)))}" : "";
        return Faults.Of("ISM2064", owner, field,
            $"{(term.Values.IsEmpty ? $"does not allow {string.Join(", ", term.NotValues)}" : $"allows {string.Join(", ", term.Values)} only")}, and "
                + $"this call {actual}{_changed.Told(term, call)}{Domains(term, has)}{Ports(term, has)}{more}: {callee.Name} {Denial(call)}{others}",
            remedy);
    }

    /// <summary>Another term of a rule that the call does not match, as the end of a sentence.</summary>
    private static string Missed((string Field, RuleTerm Term) miss, CallAttributes call) =>
        $"{miss.Field}, which "
            + $"{(miss.Term.Values.IsEmpty ? $"excludes {string.Join(", ", miss.Term.NotValues)}" : $"has {string.Join(", ", miss.Term.Values)}")}"
            + $" ({(call.Of(miss.Term.Key) is { Count: > 0 } has ? $"the call has {string.Join(", ", has)}" : "the call has none")})";

    /// <summary>How a rule comes to allow what a call has, or the call to have what the rule allows.</summary>
    private string Added(RuleTerm term, CallAttributes call)
    {
        var instead = _changed.Writer(term, call) is var (owner, field) ? $", or change {field} of {owner}" : "";
        return WithoutPort(term, call.Of(term.Key)) is { } host ? $"write {host}:* there, for whichever port, beside {host}, which has none{instead}"
            : call.Of(term.Key) is [var has, ..] && !term.Values.IsEmpty ? $"add {has} there{instead}"
            : RouteEdits.HeaderOf(term.Key) is { Length: > 0 } header && term.Values is [var wanted, ..] && call.Asked(term.Key).Count == 0
            ? $"send the header (isthmus trace -H '{header}: {wanted}'), or change the rule" : $"change the rule, or the call{instead}";
    }

    /// <summary>Why a call shows no identity, and what gives it one.</summary>
    private (string Actual, string Remedy) Anonymous(Callee callee)
    {
        if (facts.From is { } from)
            return ($"has none, since {from} sends plain text to the gateway", "let the server of the Gateway end mutual TLS of the mesh (protocol: HTTPS, "
                + "tls.mode: ISTIO_MUTUAL), and callers begin it (trafficPolicy.tls.mode: ISTIO_MUTUAL of a DestinationRule for the gateway's Service); or "
                + "allow the caller by what it has");
        if (ClusterObjects.Sidecar(facts.ClientPod) is null)
            return ("has none, since the caller has no sidecar to show one", Sidecarless.Of(facts.Home, facts.ClientPod).Remedy);
        const string orAllow = "; or allow the caller by what it has";
        var port = callee.Address.Port;
        // The caller's proxy passes on what it knows no Service for.
        if (facts.Host(facts.Target.Host, facts.Client.Namespace) is null && System.Net.IPAddress.TryParse(facts.Target.Host, out var address)
            && callee.Cluster.Services.Where(service => callee.Cluster.Behind(service).Contains(callee.Pod))
                .OrderByDescending(service => new ServiceInCluster(callee.Cluster, service).IsBalanced(address))
                .Select(service => (Service: service, Port: service.Spec.Ports.Find(one => ServiceInCluster.TargetOf(one, callee.Pod) == port)))
                .FirstOrDefault(one => one.Port is not null) is { Service: { } called } by)
            return ($"has none, since it comes in plain text by way of {address}, where nothing begins mutual TLS of the mesh",
                $"call it by its name, {called.Metadata.Name}.{called.Metadata.Namespace}:{by.Port!.Port}{orAllow}");
        return PeerPolicies.ModeOf(facts, callee.Cluster, callee.Pod, port) == MtlsMode.Disable
            && PeerPolicies.PolicyOf(facts, callee.Cluster, callee.Pod, port) is { } policy
            ? ($"has none, since PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster} lets it come in plain text only",
                TlsCauses.Encrypted(policy, $"{port}") + orAllow)
            : ("has none, since it comes in plain text", "let the call use mutual TLS of the mesh: remove trafficPolicy.tls from the DestinationRule of the "
                + $"host, or set ISTIO_MUTUAL{orAllow}");
    }

    /// <summary>What the token of a call has instead of a claim that a rule asks for.</summary>
    private static (string Actual, string Remedy) Unclaimed(RuleTerm term, CallAttributes call)
    {
        var wanted = term.Key.StartsWith($"{RuleKeys.Claims}[", StringComparison.Ordinal) ? term.Key[(RuleKeys.Claims.Length + 1)..^1] : "";
        var nested = $"{RuleKeys.Claims}[{wanted.Replace(".", "][", StringComparison.Ordinal)}]";
        var claims = call.ClaimNames.Count > 0 ? $": its claims are {string.Join(", ", call.ClaimNames)}" : "";
        return ($"has a token without {(wanted.Length > 0 ? $"a claim {wanted}" : term.Key)}{claims}",
            wanted.Contains('.', StringComparison.Ordinal) && call.Of(nested).Count > 0
                ? $"write a claim in a claim as {nested}" : "change the rule, or let the issuer put the claim into its tokens");
    }

    private static string Denial(CallAttributes call) => call.IsRequest ? $"denies {call.Caller} with 403" : $"closes the connection of {call.Caller}";

    private static string Outcome(CallAttributes call) => call.IsRequest ? "the response is 403" : "the connection is closed";

    private static string Name(AuthorizationPolicy policy, ClusterObjects config) =>
        $"AuthorizationPolicy {policy.Namespace}/{policy.Name} in {config.Context}";

    /// <summary>Only the trust domain of the identity differs.</summary>
    private static string Domains(RuleTerm term, IReadOnlyList<string> has)
    {
        if (term.Key != RuleKeys.Principal || has is not [var own] || own.IndexOf('/', StringComparison.Ordinal) is not (> 0 and var slash)) return "";
        return term.Values.FirstOrDefault(value => value.IndexOf('/', StringComparison.Ordinal) is > 0 and var at && value[at..] == own[slash..]) is { } near
            ? $": the trust domain is {own[..slash]}, not {near.Split('/')[0]}"
            : "";
    }

    /// <summary>Only the port differs, which clients write into the Host header unless it is the default one.</summary>
    private static string Ports(RuleTerm term, IReadOnlyList<string> has) =>
        WithoutPort(term, has) is null ? "" : ": clients send the port with the host (all but 80 for HTTP, and 443 for HTTPS), and hosts are compared with it";

    /// <summary>The host that a rule has, where the call has it with a port; null where it does not.</summary>
    private static string? WithoutPort(RuleTerm term, IReadOnlyList<string> has) => term.Key == RuleKeys.Host && has is [var own]
        && own.Split(':') is [var host, _] ? term.Values.FirstOrDefault(value => value.Equals(host, StringComparison.OrdinalIgnoreCase)) : null;

    /// <summary>What of a rule the call does not satisfy, in the source and the operation that come nearest.</summary>
    private static List<(string Field, RuleTerm Term)> Misses(AuthorizationRule rule, string path, CallAttributes call)
    {
        var misses = new List<(string, RuleTerm)>();
        misses.AddRange(Nearest(rule.From, (terms, i) => Unsatisfied(terms, term => $"{path}.from[{i}].source.{FieldOf(term)}", call)));
        misses.AddRange(Nearest(rule.To, (terms, i) => Unsatisfied(terms, term => $"{path}.to[{i}].operation.{FieldOf(term)}", call)));
        misses.AddRange(rule.When.Select((term, i) => (Field: $"{path}.when[{i}]", Term: term)).Where(found => !call.Satisfies(found.Term)));
        return misses;
    }

    private static List<(string, RuleTerm)> Nearest(ValueList<ValueList<RuleTerm>> choices, Func<ValueList<RuleTerm>, int, List<(string, RuleTerm)>> misses) =>
        choices.Select(misses).MinBy(list => list.Count) ?? [];

    private static List<(string, RuleTerm)> Unsatisfied(ValueList<RuleTerm> terms, Func<RuleTerm, string> field, CallAttributes call) =>
        [.. terms.Where(term => !call.Satisfies(term)).Select(term => (field(term), term))];

    private static string FieldOf(RuleTerm term)
    {
        var plain = term.Key switch
        {
            RuleKeys.Principal => "principals",
            RuleKeys.Namespace => "namespaces",
            RuleKeys.ServiceAccount => "serviceAccounts",
            RuleKeys.SourceIp => "ipBlocks",
            RuleKeys.RemoteIp => "remoteIpBlocks",
            RuleKeys.RequestPrincipal => "requestPrincipals",
            RuleKeys.TrustDomain => "trustDomains",
            RuleKeys.Host => "hosts",
            RuleKeys.Method => "methods",
            RuleKeys.Path => "paths",
            RuleKeys.DestinationPort => "ports",
            var key => key,
        };
        return term.Values.IsEmpty ? $"not{char.ToUpperInvariant(plain[0])}{plain[1..]}" : plain;
    }

    [GeneratedRegex(@"^(?:istio-ext-authz-)?ns\[([^\]]+)\]-policy\[([^\]]+)\]-rule\[(\d+)\]")]
    private static partial Regex PolicyRule();
}
