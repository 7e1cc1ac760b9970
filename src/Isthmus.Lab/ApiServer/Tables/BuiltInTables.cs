namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>The columns of built-in kinds.</summary>
internal static class BuiltInTables
{
    internal static ITableFormat? Find(GroupVersion group, string kind) => null;
}
