using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Net;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>
/// Reads AuthorizationPolicies. In a stored policy, a rule with errors never allows and, if it denies, denies all that its readable
/// parts match. A policy with errors outside of its rules does not apply: nobody can say to what.
/// </summary>
internal static class AuthorizationPolicyReader
{
    private static readonly string[] SimpleKeys =
    [
        RuleKeys.Principal, RuleKeys.TrustDomain, RuleKeys.Namespace, RuleKeys.ServiceAccount, RuleKeys.SourceIp, RuleKeys.RemoteIp, RuleKeys.RequestPrincipal,
        RuleKeys.Audiences, RuleKeys.Presenter,
        RuleKeys.DestinationIp, RuleKeys.DestinationPort, RuleKeys.Sni,
    ];

    public static AuthorizationPolicy Read(ObjectReading of) => Read(of.Source, of.Spec, of.Annotation("istio.io/dry-run") == "true", of.CreatedAt);

    private static AuthorizationPolicy Read(ObjectRef source, Field spec, bool dryRun, long createdAt)
    {
        var action = spec["action"].Text switch
        {
            "DENY" => PolicyAction.Deny,
            "AUDIT" => PolicyAction.Audit,
            "CUSTOM" => PolicyAction.Custom,
            _ => PolicyAction.Allow
        };
        var target = WorkloadTarget.Read(spec, spec["selector"]["matchLabels"]);
        if (action == PolicyAction.Custom)
        {
            if (spec["provider"]["name"].Text.Length == 0) spec["provider"].Error("CUSTOM needs the name of a provider");
            if (dryRun)
                spec["action"]
                    .Warn("CUSTOM has no dry run: with the annotation istio.io/dry-run, the policy has no effect", "remove the annotation or the policy");
        }
        else if (spec["provider"].Exists) spec["provider"].Error("only the action CUSTOM has a provider");
        if (action == PolicyAction.Deny && spec["rules"].Exists && !spec["rules"].Items.Any()) spec["rules"].Warn("DENY without rules denies nothing");
        return new(
            source, target, action,
            spec["rules"].Items.Select(rule => ReadRule(rule, source.Namespace, action)).OfType<AuthorizationRule>().ToValueList(),
            dryRun, createdAt) { Provider = spec["provider"]["name"].Text };
    }

    private static AuthorizationRule? ReadRule(Field rule, string ns, PolicyAction action)
    {
        if (rule["from"].Exists && !rule["from"].Items.Any()) rule["from"].Error("\"from\" cannot be empty");
        if (rule["to"].Exists && !rule["to"].Items.Any()) rule["to"].Error("\"to\" cannot be empty");
        var read = new AuthorizationRule(
            rule["from"].Items.Select(from => ReadSource(from["source"], ns)).ToValueList(),
            rule["to"].Items.Select(to => ReadOperation(to["operation"])).ToValueList(),
            rule["when"].Items.Select(condition => ReadCondition(condition, ns)).OfType<RuleTerm>().ToValueList());
        return rule.CloseIfWrong() && action is PolicyAction.Allow or PolicyAction.Audit ? null : read;
    }

    private static ValueList<RuleTerm> ReadSource(Field source, string ns)
    {
        string[] identities = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
        if ((source["serviceAccounts"].Exists || source["notServiceAccounts"].Exists) && identities.FirstOrDefault(name => source[name].Exists) is { } other)
            source[other].Error("cannot be set together with serviceAccounts or notServiceAccounts", "use one of the two");
        return Terms(source, "a source", ns, RuleFields.Source);
    }

    private static ValueList<RuleTerm> ReadOperation(Field operation) => Terms(operation, "an operation", "", RuleFields.Operation);

    private static ValueList<RuleTerm> Terms(Field item, string name, string ns, IReadOnlyList<(string Key, string Values, string NotValues)> fields)
    {
        var terms = new List<RuleTerm>();
        var isEmpty = true;
        foreach (var (key, values, notValues) in fields)
        {
            if (!item[values].Exists && !item[notValues].Exists) continue;
            isEmpty = false;
            if (Term(key, item[values], item[notValues], ns) is { } term) terms.Add(term);
        }
        if (isEmpty) item.Error($"{name} must have at least one field", "leave the whole entry out where everything is meant");
        return terms.ToValueList();
    }

    private static RuleTerm? ReadCondition(Field condition, string ns)
    {
        var key = condition["key"].Text;
        var isKnown = SimpleKeys.Contains(key) || IsIndexed(key, RuleKeys.Header) || IsIndexed(key, RuleKeys.Claims) || IsIndexed(key, RuleKeys.Metadata);
        if (!isKnown)
            condition["key"]
                .Error($"unknown condition key \"{key}\"", $"use one of {string.Join(", ", SimpleKeys)}, {RuleKeys.Header}[NAME], {RuleKeys.Claims}[NAME]");
        if (!condition["values"].Items.Any() && !condition["notValues"].Items.Any()) condition["values"].Error("a condition needs values or notValues");
        var term = Term(key, condition["values"], condition["notValues"], ns);
        return condition.IsWrong ? null : term;
    }

    /// <summary>Null for a term with errors.</summary>
    private static RuleTerm? Term(string key, Field values, Field notValues, string ns)
    {
        foreach (var list in (Field[])[values, notValues])
        {
            if (list.Exists && !list.Items.Any()) list.Error("must not be an empty list");
            foreach (var value in list.Items) CheckValue(key, value);
        }
        if (values.IsWrong || notValues.IsWrong) return null;
        return key == RuleKeys.ServiceAccount ? new(key, Qualified(values, ns), Qualified(notValues, ns)) : new(key, values.Texts, notValues.Texts);
    }

    /// <summary>A service account without a namespace is in the policy's.</summary>
    private static ValueList<string> Qualified(Field accounts, string ns) =>
        accounts.Items.Select(account => account.Text.Contains('/', StringComparison.Ordinal) ? account.Text : $"{ns}/{account.Text}").ToValueList();

    private static void CheckValue(string key, Field value)
    {
        switch (key)
        {
            case RuleKeys.SourceIp or RuleKeys.RemoteIp or RuleKeys.DestinationIp when !Cidr.TryParse(value.Text, out _)
                || !(value.Text.Contains('/', StringComparison.Ordinal) || HostNames.IsIp(value.Text)):
                value.Error($"\"{value.Text}\" is not a valid IP or CIDR block");
                break;
            case RuleKeys.DestinationPort when !int.TryParse(value.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
                || port is < 1 or > 65535:
                value.Error($"\"{value.Text}\" is not a port in the range 1..65535");
                break;
            case RuleKeys.ServiceAccount when !IsServiceAccount(value.Text):
                value.Error($"\"{value.Text}\" is not a service account", "write NAME or NAMESPACE/NAME, without wildcards");
                break;
            case RuleKeys.TrustDomain when !IsTrustDomain(value.Text):
                value.Error($"\"{value.Text}\" is not a trust domain", "write its name, with at most one * at the start or the end");
                break;
            case RuleKeys.Path when !PathTemplates.IsValid(value.Text):
                value.Error($"\"{value.Text}\" is not a path template",
                    "write {*} for one whole segment, {**} for the rest of the path as the last operator, as in /a/{*}/b/{**}, and no other braces and "
                        + "asterisks");
                break;
            default:
                if (value.Text.Length == 0) value.Error("must not be empty");
                break;
        }
    }

    private static bool IsTrustDomain(string text) =>
        text.Length > 0 && !text.Contains('/', StringComparison.Ordinal) && text.IndexOf('*', StringComparison.Ordinal) is var star
        && (star < 0 || star == text.LastIndexOf('*') && (star == 0 || star == text.Length - 1));

    private static bool IsServiceAccount(string text) =>
        text.Split('/') is { Length: 1 or 2 } parts
            && Array.TrueForAll(parts, part => part.Length > 0 && part.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.'));

    private static bool IsIndexed(string key, string root) =>
        key.StartsWith(root, StringComparison.Ordinal) && key.EndsWith(']') && key.IndexOf('[', StringComparison.Ordinal) is > 0 and var open
            && key.Length > open + 2;
}

/// <summary>Reads RequestAuthentications. In a stored one, no token of an issuer is valid whose rule has errors.</summary>
internal static class RequestAuthenticationReader
{
    private const int MaxJwks = 1 << 20;
    private const string NoKeys = "{\"keys\":[]}";

    public static RequestAuthentication Read(ObjectRef source, Field spec, long createdAt)
    {
        var target = WorkloadTarget.Read(spec, spec["selector"]["matchLabels"]);
        return new(source, target, spec["jwtRules"].Items.Select(ReadRule).ToValueList(), createdAt);
    }

    private static TokenRule ReadRule(Field rule)
    {
        var uri = rule["jwksUri"].Exists ? rule["jwksUri"] : rule["jwks_uri"];
        if (rule["issuer"].Text.Length == 0 && uri.Text.Length == 0) rule["issuer"].Error("issuer or jwksUri must be set");
        var keys = rule["jwks"];
        if (uri.Text.Length > 0 && keys.Text.Length > 0) rule.Error("only one of jwksUri and jwks may be set");
        if (uri.Text.Length > 0 && !(Uri.TryCreate(uri.Text, UriKind.Absolute, out var parsed) && parsed.Scheme is "http" or "https"))
            uri.Error($"\"{uri.Text}\" is not an http or https URI");
        if (keys.Text.Length > 0 && !IsKeySet(keys.Text)) keys.Error("is not a JSON object with a list \"keys\" (RFC 7517)");
        if (rule["issuer"].Text.Length > 0 && uri.Text.Length == 0 && keys.Text.Length == 0 && new KeyPlace(rule["issuer"].Text, "", default).Discovery is null)
            rule.Warn("neither jwks nor jwksUri, and the issuer is not an http or https URI at which its keys could be discovered: every token is refused",
                "set jwks or jwksUri");
        foreach (var header in rule["fromHeaders"].Items)
        {
            if (header["name"].Text.Length == 0) header["name"].Error("location header name must be set");
        }
        foreach (var name in (ReadOnlySpan<string>)["audiences", "fromParams", "fromCookies"])
        {
            foreach (var item in rule[name].Items)
                if (item.Text.Length == 0) item.Error("must not be empty");
        }
        HeadTexts.CheckOutput(rule["outputPayloadToHeader"]);
        foreach (var claim in rule["outputClaimToHeaders"].Items)
        {
            if (claim["header"].Text.Length > 0 && !HeaderNames.IsSimple(claim["header"].Text))
                claim["header"].Error($"\"{claim["header"].Text}\" is not the name of a header", "use letters, digits, - and _");
            else HeadTexts.CheckOutput(claim["header"]);
            if (claim["header"].Text.Length == 0 || claim["claim"].Text.Length == 0) claim.Error("header and claim must be set");
        }
        foreach (var claim in rule["spaceDelimitedClaims"].Items)
        {
            if (claim.Text.Length == 0) claim.Error("the name of a claim must not be empty");
        }
        var timeout = rule["timeout"].Duration(Durations.OneMillisecond);
        var isClosed = rule.CloseIfWrong();
        return new(
            rule["issuer"].Text, rule["audiences"].Texts, isClosed ? "" : uri.Text, isClosed ? NoKeys : keys.Text,
            // What has no name was reported above, and no proxy could take it.
            rule["fromHeaders"].Items.Where(header => header["name"].Text.Length > 0)
                .Select(header => new TokenHeader(header["name"].Text, header["prefix"].Text)).ToValueList(),
            rule["fromParams"].Texts, rule["fromCookies"].Texts, rule["outputPayloadToHeader"].Text,
            rule["outputClaimToHeaders"].Items.Where(claim => claim["header"].Text.Length > 0 && claim["claim"].Text.Length > 0)
                .Select(claim => new ClaimHeader(claim["header"].Text, claim["claim"].Text)).ToValueList(),
            rule["forwardOriginalToken"].Flag ?? false)
            {
                Timeout = timeout ?? TokenRule.DefaultTimeout, SpaceDelimitedClaims = rule["spaceDelimitedClaims"].Texts
            };
    }

    private static bool IsKeySet(string text)
    {
        if (text.Length > MaxJwks) return false;
        try
        {
            return StrictJson.Parse(text) is JsonObject set && set["keys"] is JsonArray;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
