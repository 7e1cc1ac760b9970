using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Policies;

/// <summary>What must hold.</summary>
/// <param name="Message">Empty for none.</param>
/// <param name="MessageExpression">Takes the place of the message where it has a value.</param>
internal sealed record PolicyValidation(AdmissionExpression Expression, string Message, AdmissionExpression? MessageExpression, string Reason);

/// <summary>A kind of objects by which policies can be set.</summary>
internal sealed record ParamKind(string Group, string Version, string Kind);

/// <summary>A ValidatingAdmissionPolicy.</summary>
internal sealed record AdmissionPolicy(
    string Name, AdmissionMatch Match, ValueList<NamedExpression> Conditions, ValueList<NamedExpression> Variables, ValueList<PolicyValidation> Validations,
    bool FailOpen, ParamKind? Params)
{
    public static AdmissionPolicy Read(StoredObject stored)
    {
        var o = stored.Parse();
        var spec = o["spec"];
        return new(
            o.TextAt("metadata", "name"), AdmissionMatch.Read(spec.At("matchConstraints")), NamedExpression.Read(spec.At("matchConditions")),
            NamedExpression.Read(spec.At("variables")),
            Json.Objects(spec.At("validations")).Select(Validation).ToValueList(), spec.TextAt("failurePolicy") == "Ignore", Kind(spec.At("paramKind")));
    }

    private static PolicyValidation Validation(JsonObject validation) => new(
        AdmissionExpression.Read(Json.Text(validation["expression"])), Json.Text(validation["message"]).Trim(),
        Json.Text(validation["messageExpression"]) is { Length: > 0 } text ? AdmissionExpression.Read(text) : null,
        Json.Text(validation["reason"]) is { Length: > 0 } reason ? reason : "Invalid");

    private static ParamKind? Kind(JsonNode? kind)
    {
        if (kind is null) return null;
        var version = kind.TextAt("apiVersion");
        var slash = version.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new("", version, kind.TextAt("kind")) : new(version[..slash], version[(slash + 1)..], kind.TextAt("kind"));
    }
}

/// <summary>A ValidatingAdmissionPolicyBinding: where a policy applies, and what follows from it.</summary>
/// <param name="Match">Narrows that of the policy; null if it does not.</param>
internal sealed record PolicyBinding(string Name, string Policy, AdmissionMatch? Match, ParamReference? Params, ValueList<string> Actions)
{
    public static PolicyBinding Read(StoredObject stored)
    {
        var o = stored.Parse();
        var spec = o["spec"];
        return new(
            o.TextAt("metadata", "name"), spec.TextAt("policyName"), spec.At("matchResources") is { } match ? AdmissionMatch.Read(match) : null,
            spec.At("paramRef") is { } reference ? ParamReference.Read(reference) : null, Json.Texts(spec.At("validationActions")));
    }
}

/// <summary>Which objects set a policy.</summary>
/// <param name="Name">Of the one; empty for those that the selector picks.</param>
/// <param name="Namespace">Empty for that of the request.</param>
/// <param name="AllowsNone">The policy does not apply while there is none; else the request fails.</param>
internal sealed record ParamReference(string Name, string Namespace, LabelSelector? Selector, bool AllowsNone)
{
    public static ParamReference Read(JsonNode reference) => new(
        reference.TextAt("name"), reference.TextAt("namespace"), LabelSelector.Read(reference.At("selector")),
        reference.TextAt("parameterNotFoundAction") == "Allow");
}
