using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http.Output;

internal enum OutputForm
{
    Json,
    Yaml,
    Table,
    PartialObjectMetadata,
}

/// <summary>How the client wants its answer.</summary>
/// <param name="MetaVersion">v1 or v1beta1, of tables and partial metadata.</param>
/// <param name="Pretty">Indented.</param>
internal sealed record Accept(OutputForm Form, string MetaVersion, bool Pretty)
{
    private const string Available =
        "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, "
            + "application/vnd.kubernetes.protobuf;stream=watch";

    internal static readonly Accept PlainJson = new(OutputForm.Json, "v1", false);

    /// <exception cref="ApiException">406: the client accepts no media type that this server writes.</exception>
    internal static Accept Of(HttpRequest request)
    {
        var pretty = WantsPretty(request);
        var any = false;
        foreach (var header in request.Headers.Accept)
        {
            foreach (var clause in (header ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                any = true;
                if (Clause(clause, pretty) is { } accept) return accept;
            }
        }
        if (!any) return PlainJson with { Pretty = pretty };
        throw new ApiException(406, "NotAcceptable", $"406: Not Acceptable\n\nAvailable representations: {Available}");
    }

    private static Accept? Clause(string clause, bool pretty)
    {
        var parts = clause.Split(';', StringSplitOptions.TrimEntries);
        var form = parts[0] switch
        {
            "application/json" or "*/*" or "application/*" => OutputForm.Json,
            "application/yaml" => OutputForm.Yaml,
            _ => (OutputForm?)null,
        };
        if (form is null) return null;
        string As = "", group = "", version = "";
        foreach (var parameter in parts.AsSpan(1))
        {
            if (parameter.StartsWith("as=", StringComparison.Ordinal)) As = parameter[3..];
            else if (parameter.StartsWith("g=", StringComparison.Ordinal)) group = parameter[2..];
            else if (parameter.StartsWith("v=", StringComparison.Ordinal)) version = parameter[2..];
        }
        if (As.Length == 0) return new(form.Value, "v1", pretty);
        if (group != "meta.k8s.io" || version is not ("v1" or "v1beta1") || form != OutputForm.Json) return null;
        return As switch
        {
            "Table" => new(OutputForm.Table, version, pretty),
            "PartialObjectMetadata" or "PartialObjectMetadataList" => new(OutputForm.PartialObjectMetadata, version, pretty),
            _ => null,
        };
    }

    private static bool WantsPretty(HttpRequest request)
    {
        if (request.Query.TryGetValue("pretty", out var asked)) return asked.ToString() is "true" or "1";
        var agent = request.Headers.UserAgent.ToString();
        return agent.StartsWith("curl", StringComparison.Ordinal) || agent.StartsWith("Wget", StringComparison.Ordinal)
            || agent.StartsWith("Mozilla/5.0", StringComparison.Ordinal);
    }
}
