using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Admission.Policies;

/// <summary>Judges requests by ValidatingAdmissionPolicies and their bindings.</summary>
internal sealed class PolicyAdmission(IObjectStore store, KindRegistry kinds) : IAdmissionPlugin
{
    private readonly AdmissionMatcher _matcher = new(store, kinds);
    private readonly PolicyParams _params = new(store, kinds);
    private readonly LiveView<AdmissionPolicy> _policies = new(store, Resources.AdmissionPolicies, AdmissionPolicy.Read);
    private readonly LiveView<PolicyBinding> _bindings = new(store, Resources.AdmissionPolicyBindings, PolicyBinding.Read);

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        var bindings = _bindings.Read().Items.Values;
        if (!bindings.Any()) return default;
        var policies = _policies.Read().Items.Values.ToDictionary(policy => policy.Name, StringComparer.Ordinal);
        foreach (var binding in bindings)
            if (policies.TryGetValue(binding.Policy, out var policy)) Judge(policy, binding, request);
        return default;
    }

    private void Judge(AdmissionPolicy policy, PolicyBinding binding, AdmissionRequest request)
    {
        if (_matcher.Match(policy.Match, request) is not { } kind || !IsBound(binding, request)) return;
        var objects = new PolicyObjects(request, kind, store);
        foreach (var finding in Findings(policy, binding, objects, request))
        {
            if (binding.Actions.Contains("Deny")) throw Denied(policy, binding, request, finding);
            if (binding.Actions.Contains("Warn"))
                request.Warnings.Add($"Validation failed for ValidatingAdmissionPolicy '{policy.Name}' with binding '{binding.Name}': {finding.Message}");
        }
    }

    /// <summary>A binding without rules narrows nothing by them.</summary>
    private bool IsBound(PolicyBinding binding, AdmissionRequest request)
    {
        if (binding.Match is not { } match) return true;
        return _matcher.Match(match.Rules.IsEmpty ? match with { Rules = AdmissionRule.Everything } : match, request) is not null;
    }

    /// <summary>What does not hold. What cannot be decided counts, too, unless the failure policy is Ignore.</summary>
    private IEnumerable<PolicyFinding> Findings(AdmissionPolicy policy, PolicyBinding binding, PolicyObjects objects, AdmissionRequest request)
    {
        if (!_params.TryFind(policy, binding, request, out var parameters, out var obstacle))
        {
            if (!policy.FailOpen) yield return new(obstacle, "Invalid");
            yield break;
        }
        foreach (var parameter in parameters)
        {
            var scope = objects.Scope(policy, parameter);
            if (!NamedExpression.AllHold(policy.Conditions, scope, out var failure))
            {
                if (failure is not null && !policy.FailOpen) yield return new(failure, "Invalid");
                continue;
            }
            foreach (var validation in policy.Validations)
            {
                if (Finding(validation, scope, policy.FailOpen) is { } finding) yield return finding;
            }
        }
    }

    private static PolicyFinding? Finding(PolicyValidation validation, Func<CelScope> scope, bool failOpen)
    {
        try
        {
            if (validation.Expression.Truth(scope())) return null;
        }
        catch (CelFailureException e)
        {
            return failOpen ? null : new($"expression '{validation.Expression.Text}' resulted in error: {e.Message}", "Invalid");
        }
        var message = validation.Message.Length > 0 ? validation.Message : $"failed expression: {validation.Expression.Text}";
        return new(Made(validation, scope) ?? message, validation.Reason);
    }

    /// <summary>Null where the expression of the message has no value of use.</summary>
    private static string? Made(PolicyValidation validation, Func<CelScope> scope)
    {
        try
        {
            return validation.MessageExpression?.Evaluate(scope()) is string text && text.Trim() is { Length: > 0 } made
                && !made.Contains('\n', StringComparison.Ordinal)
                ? made
                : null;
        }
        catch (CelFailureException)
        {
            return null;
        }
    }

    private static ApiException Denied(AdmissionPolicy policy, PolicyBinding binding, AdmissionRequest request, PolicyFinding finding)
    {
        var why = $"ValidatingAdmissionPolicy '{policy.Name}' with binding '{binding.Name}' denied request: {finding.Message}";
        var refusal = ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name, why, [new("", why)]);
        var code = finding.Reason switch { "Forbidden" => 403, "Unauthorized" => 401, "RequestEntityTooLarge" => 413, _ => 422 };
        return new(code, finding.Reason, refusal.Message, refusal.Details);
    }

    private sealed record PolicyFinding(string Message, string Reason);
}
